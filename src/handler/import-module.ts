import { pathToFileURL } from 'node:url';
import { within } from '../connection/within.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { ImportExit, ImportTimeout } from './import-faults.ts';

export interface ImportDeps {
  readonly timeoutMs: Millis;
  readonly clock: Clock;
}

/** Events of the process whose listeners decide how it ends: domaind has its own. */
const endings = ['uncaughtException', 'unhandledRejection', 'SIGTERM', 'SIGINT', 'exit', 'beforeExit'] as const;

/** What a module exports, by name, and which listeners on the process it has left behind. */
export interface ImportedModule {
  readonly exports: ReadonlyMap<string, unknown>;
  readonly listensTo: readonly string[];
}

/**
 * Imports a module of the user's. It must be done within `timeoutMs`, or ImportTimeout is thrown; ImportExit where it
 * calls `process.exit`. Throws whatever the module throws.
 */
export async function importModule(file: string, { timeoutMs, clock }: ImportDeps): Promise<ImportedModule> {
  const before = endings.map((name) => process.listenerCount(name));
  const release = forbidExit();
  try {
    const late = () =>
      new ImportTimeout(`has not finished after ${timeoutMs / 1_000} s: a top-level await in it never settles`);
    const module: object = await within(clock, timeoutMs, import(pathToFileURL(file).href), late);
    const listensTo = endings.filter((name, index) => process.listenerCount(name) > (before[index] ?? 0));
    return { exports: exportsOf(module), listensTo };
  } finally {
    release();
  }
}

/** Of a CommonJS module also the members of what it exports, where Node has not told them apart. */
function exportsOf(module: object): ReadonlyMap<string, unknown> {
  const named = new Map<string, unknown>(Object.entries(module));
  const whole = named.get('default');
  const isTable = typeof whole === 'object' && whole !== null && Object.getOwnPropertySymbols(whole).length === 0;
  const members: readonly (readonly [string, unknown])[] = isTable ? Object.entries(whole) : [];
  named.delete('module.exports');
  if (members.length > 0) named.delete('default');
  return new Map([...members, ...named]);
}

function forbidExit(): () => void {
  const { exit } = process;
  process.exit = function refuse(code) {
    const error = new ImportExit(
      `calls process.exit(${code ?? ''}) while it is imported: a handler module only defines handlers`,
    );
    // So that the stack begins with the line that called it.
    Error.captureStackTrace(error, refuse);
    throw error;
  };
  return () => {
    process.exit = exit;
  };
}
