import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface LogLine {
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** A domaind process of the test's own. */
export interface Daemon {
  readonly pid: number;
  /** Every line of its log so far. */
  readonly lines: readonly LogLine[];
  /** The first log line, past or future, with this message. Rejects when the process ends without it. */
  seen(msg: string): Promise<LogLine>;
  /** `http://127.0.0.1:<port>` of its health server. */
  health(): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** What it printed to stdout. */
  readonly output: () => string;
}

export type Environment = Readonly<Record<string, string>>;

/** The build, where `npm test` has made one; else the sources. */
const built = process.env['DOMAIND_TEST_ENTRY'];
const entry = built ? [built] : ['--conditions=domaind-source', '--import', 'tsx', `${root}src/main.ts`];

function spawnDomaind(argv: readonly string[], environment: Environment): ChildProcess {
  const child = spawn(process.execPath, [...entry, ...argv], {
    cwd: root,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
  return child;
}

/** Starts a command that stays, and reads its JSON log. */
export function startDaemon(argv: readonly string[], environment: Environment): Daemon {
  const child = spawnDomaind(argv, environment);
  const lines: LogLine[] = [];
  const watchers = new Set<(line: LogLine) => void>();
  let output = '';
  let complaint = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  createInterface({ input: child.stderr ?? process.stdin }).on('line', (text) => {
    if (!text.startsWith('{')) {
      complaint += `${text}\n`;
      return;
    }
    const line = JSON.parse(text) as LogLine;
    lines.push(line);
    for (const watch of watchers) watch(line);
  });
  const ended: Daemon['ended'] = new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  );
  const seen = (msg: string) =>
    new Promise<LogLine>((resolve, reject) => {
      const past = lines.find((line) => line.msg === msg);
      if (past) return resolve(past);
      const watch = (line: LogLine) => {
        if (line.msg !== msg) return;
        watchers.delete(watch);
        resolve(line);
      };
      watchers.add(watch);
      void ended.then(({ code }) => reject(new Error(`the daemon ended (${code}) before ${msg}\n${complaint}`)));
    });
  return {
    pid: child.pid ?? 0,
    lines,
    seen,
    async health() {
      const line = await seen('http.listening');
      return `http://127.0.0.1:${String(line['port'])}`;
    },
    signal: (name) => void child.kill(name),
    ended,
    output: () => output,
  };
}

/** Runs a command to its end. */
export async function runDomaind(
  argv: readonly string[],
  environment: Environment = {},
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawnDomaind(argv, environment);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, err };
}
