import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export type Environment = Readonly<Record<string, string>>;

/** A process of the bench's own. */
export interface Program {
  readonly pid: number;
  /** Rejects, with what it said, when it ends before `stop` was called. Never resolves. */
  readonly broke: Promise<never>;
  /** Resolves with the rest of a line of its output that begins with `word`. */
  said(word: string): Promise<string>;
  /** SIGTERM, and SIGKILL for one that does not leave. */
  stop(): Promise<void>;
}

const graceMs = 20_000;

/** Runs Node with `argv`. It ends with `stop()`, and at the latest with this process. */
export function startProgram(name: string, argv: readonly string[], environment: Environment): Program {
  const child = spawn(process.execPath, argv, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  let words = '';
  const keep = (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-65_536);
    for (const hear of listeners) hear();
  };
  const listeners = new Set<() => void>();
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let stopping = false;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const broke = new Promise<never>((_, reject) => {
    void ended.then(() => {
      process.off('exit', end);
      if (!stopping) reject(new Error(`${name} ended by itself (${child.exitCode ?? child.signalCode}):\n${words}`));
    });
  });
  broke.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    broke,
    async said(word) {
      const line = new RegExp(`^${word}(.*)$`, 'm');
      const heard = new Promise<string>((resolve) => {
        const hear = () => {
          const found = line.exec(words);
          if (found === null) return;
          listeners.delete(hear);
          resolve(found[1] ?? '');
        };
        listeners.add(hear);
        hear();
      });
      return Promise.race([heard, broke]);
    },
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const late = setTimeout(end, graceMs);
      await ended;
      clearTimeout(late);
    },
  };
}

/** Runs a TypeScript file of `bench/`. */
export const startScript = (file: string, environment: Environment, argv: readonly string[] = []): Program =>
  startProgram(file, ['--import', 'tsx', fileURLToPath(new URL(`../${file}`, import.meta.url)), ...argv], environment);
