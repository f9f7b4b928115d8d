import { basename } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Upcast } from '../message/upcasts.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Fault } from '../runtime/errors.ts';
import { ConfigError } from '../runtime/errors.ts';
import { clashes } from './clashes.ts';
import { isHandlerDefinition } from './define.ts';
import { findModules } from './find-modules.ts';
import { faultOfImport } from './import-faults.ts';
import { importModule } from './import-module.ts';
import type { LoadedHandler } from './loaded-handler.ts';
import { toLoadedHandler } from './loaded-handler.ts';
import { provideDomaind } from './resolve-hook.ts';
import { createTypeScriptSupport, needsTypeScript } from './typescript-support.ts';
import { upcastersIn } from './upcaster.ts';

/** The part of the configuration that handlers are read and checked by. */
export type HandlerSettings = Pick<Config, 'handlers' | 'domain' | 'databases' | 'brokers'>;

export interface LoadDeps {
  readonly clock: Clock;
  /** Whether a file can be imported, as far as TypeScript goes. */
  readonly supportsTypeScript?: (file: string) => Promise<boolean>;
}

export interface Loaded {
  /** In the order of their files, and in a file of their names. */
  readonly handlers: readonly LoadedHandler[];
  readonly upcasters: readonly Upcast[];
  /** One sentence each, with its place. */
  readonly warnings: readonly string[];
}

interface OfModule {
  readonly handlers: readonly LoadedHandler[];
  readonly upcasters: readonly Upcast[];
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
}

/**
 * Imports the handler modules of domain.toml, one after the other, and checks what they export. Throws ConfigError with
 * all that is wrong with any of them. Runs the modules' own code, once: what it throws, or does not finish, is a fault.
 */
export async function loadHandlers(settings: HandlerSettings, deps: LoadDeps): Promise<Loaded> {
  const { paths } = settings.handlers;
  provideDomaind();
  const { files, faults, warnings } = await findModules(paths);
  const supportsTypeScript = deps.supportsTypeScript ?? createTypeScriptSupport();
  const modules: OfModule[] = [];
  for (const file of files) modules.push(await loadModule(file, settings, { ...deps, supportsTypeScript }));
  const handlers = modules.flatMap((module) => module.handlers);
  const all = [...faults, ...modules.flatMap((module) => module.faults), ...clashes(handlers)];
  if (all.length > 0) throw new ConfigError(all);
  const upcasters = modules.flatMap((module) => module.upcasters);
  return { handlers, upcasters, warnings: [...warnings, ...modules.flatMap((module) => module.warnings)] };
}

async function loadModule(file: string, settings: HandlerSettings, deps: Required<LoadDeps>): Promise<OfModule> {
  const {
    handlers: { importTimeoutMs: timeoutMs },
  } = settings;
  const { clock, supportsTypeScript } = deps;
  try {
    if (!(await supportsTypeScript(file))) {
      return refused({ code: 'needs_typescript', where: file, message: needsTypeScript });
    }
    const { exports, listensTo } = await importModule(file, { timeoutMs, clock });
    const found = handlersIn(file, exports, settings);
    const listening = `${file} listens to ${listensTo.join(', ')} of the process, which domaind sees to itself`;
    return { ...found, warnings: listensTo.length === 0 ? [] : [listening] };
  } catch (thrown) {
    // The border to the user's code: whatever it threw becomes a fault of its file.
    return refused(await faultOfImport(thrown, file));
  }
}

const refused = (fault: Fault): OfModule => ({ handlers: [], upcasters: [], faults: [fault], warnings: [] });

function handlersIn(
  file: string,
  exports: ReadonlyMap<string, unknown>,
  settings: HandlerSettings,
): Omit<OfModule, 'warnings'> {
  const loaded = [...exports].flatMap(([name, definition]) =>
    isHandlerDefinition(definition) ? [toLoadedHandler({ file, name, definition }, settings.domain)] : [],
  );
  const { upcasts: upcasters, faults: ofUpcasters } = upcastersIn(file, exports);
  if (loaded.length + upcasters.length + ofUpcasters.length === 0) {
    return { handlers: [], upcasters: [], faults: [noHandlers(file, [...exports.keys()])] };
  }
  const ofHandlers = loaded.flatMap(({ handler, faults }) =>
    [...faults, ...unknownReferences(handler, settings)].map((sentence) => ({
      code: 'bad_handler',
      where: handler.place,
      message: `${handler.exportName}: ${sentence}`,
    })),
  );
  const badUpcaster = ({ name, place, sentence }: (typeof ofUpcasters)[number]) => ({
    code: 'bad_upcaster',
    where: place,
    message: `${name}: ${sentence}`,
  });
  return {
    handlers: loaded.map(({ handler }) => handler),
    upcasters,
    faults: [...ofHandlers, ...ofUpcasters.map(badUpcaster)],
  };
}

function noHandlers(file: string, names: readonly string[]): Fault {
  const mend = `if it is no handler module, name it _${basename(file)}`;
  const makers = 'commandHandler, eventHandler, projector, subscriber or upcaster';
  const exported = names.length === 0 ? 'exports nothing' : `exports ${names.join(', ')}: none is made by ${makers}`;
  return { code: 'no_handlers', where: file, message: `${exported}; ${mend}` };
}

function unknownReferences({ kind, database, broker }: LoadedHandler, settings: HandlerSettings): readonly string[] {
  const { databases, brokers } = settings;
  const unknown = (table: string, name: string, known: ReadonlyMap<string, unknown>): readonly string[] =>
    known.has(name)
      ? []
      : [`there is no [${table}.${name}] in domain.toml; there is ${[...known.keys()].join(', ') || 'none'}`];
  return [
    ...unknown('databases', database, databases),
    ...(kind === 'subscriber' ? unknown('brokers', broker, brokers) : []),
  ];
}
