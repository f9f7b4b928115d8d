import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { FSWatcher } from 'node:fs';
import { existsSync, watch } from 'node:fs';
import type { Config } from '../config/config.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Io } from './io.ts';

/** Set in the environment of the process that does the work. */
export const supervisedBy = 'DOMAIND_SUPERVISOR';

/** Editors save in several steps: so long after the last one. */
const settleMs = 150;

/**
 * Runs this command line again in a process of its own, and starts that anew whenever one of `paths` changes: modules
 * that were imported stay as they were, so a new process it must be. One that ends with a fault waits for the mend.
 * Resolves with the exit code once `stop` aborts, or once the process ends well by itself.
 */
export async function supervise(paths: readonly string[], io: Io, { soft: stop, hard }: Shutdown): Promise<number> {
  let changed = () => undefined as unknown;
  const watchers = watchAll(paths, () => changed());
  try {
    for (;;) {
      const child = start(io);
      const ended = endOf(child);
      const what = await Promise.race([
        ended.then((code) => ({ kind: 'ended', code }) as const),
        new Promise<{ readonly kind: 'changed' }>((resolve) => {
          changed = () => resolve({ kind: 'changed' });
        }),
        aborted(stop).then(() => ({ kind: 'stopped' }) as const),
      ]);
      if (what.kind === 'stopped') {
        child.kill('SIGTERM');
        void aborted(hard).then(() => child.kill('SIGTERM'));
        return await ended;
      }
      if (what.kind === 'ended') {
        if (what.code === 0 || stop.aborted) return what.code;
        io.err('domaind: waiting for a change');
        await Promise.race([aborted(stop), new Promise<void>((resolve) => (changed = () => resolve()))]);
        if (stop.aborted) return what.code;
      } else {
        child.kill('SIGTERM');
        await ended;
      }
      io.err('domaind: changed, starting again');
    }
  } finally {
    for (const watcher of watchers) watcher.close();
  }
}

/** What a running daemon has read: a change of it takes effect with a new start. */
export const watchedFiles = ({ file, handlers, schemas }: Config): readonly string[] => [
  file,
  ...handlers.paths,
  ...(schemas.path === null ? [] : [schemas.path]),
];

/** In a process group of its own, so that it hears of Ctrl-C from here only: twice would force it. */
function start(io: Io): ChildProcess {
  const argv = [...process.execArgv, ...process.argv.slice(1)];
  return spawn(process.execPath, argv, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
    env: { ...io.environment, [supervisedBy]: String(process.pid) },
  });
}

/** For the process that does the work: it does not outlive its supervisor. */
export function followSupervisor(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}

const endOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143))));

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

function watchAll(paths: readonly string[], onChange: () => void): readonly FSWatcher[] {
  let settling: NodeJS.Timeout | null = null;
  const soon = () => {
    if (settling !== null) clearTimeout(settling);
    settling = setTimeout(onChange, settleMs);
  };
  return paths.filter(existsSync).map((path) => watch(path, { recursive: true }, soon).on('error', () => undefined));
}
