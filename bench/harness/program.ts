import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export type Environment = Readonly<Record<string, string>>;

/** A process of the bench's own. */
export interface Program {
  readonly pid: number;
  /** Rejects, with what it said, when it ends although nobody asked for `stop` or `finished`. Never resolves. */
  readonly broke: Promise<never>;
  /** The number in the last line `done N` that it wrote; 0 before the first. */
  done(): number;
  /** Resolves when it has ended by itself; rejects, with what it said, when it failed. */
  finished(): Promise<void>;
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
  let done = 0;
  const keep = (chunk: Buffer) => {
    const text = chunk.toString();
    const [last] = [...text.matchAll(/^done (\d+)$/gm)].slice(-1);
    if (last === undefined) words = (words + text).slice(-65_536);
    else done = Number(last[1]);
  };
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
    done: () => done,
    async finished() {
      stopping = true;
      await ended;
      if (child.exitCode !== 0) throw new Error(`${name} failed (${child.exitCode ?? child.signalCode}):\n${words}`);
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
