import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../support/until.ts';
import type { Order, Report } from './inside/passing.ts';
import { makeTestBuild } from './test-build.ts';

/** A daemon that can be told to be struck at a point. */
export interface ArmedDaemon {
  readonly pid: number;
  readonly alive: boolean;
  /** What it has reported since it was given its last order. */
  readonly reports: readonly Report['kind'][];
  /** Resolves when it has taken note of it. */
  give(order: Order): Promise<void>;
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<void>;
  /** The end of its log, for the message of a test that fails. */
  readonly lastLines: () => string;
}

/** Several of them, of one configuration. */
export interface ArmedDaemons {
  /** Those that live; starts more where there are less than `count`, and waits until they are ready. */
  ready(count: number): Promise<readonly ArmedDaemon[]>;
  /** Starts one in the place of each that is dead, without waiting for it. */
  replace(count: number): void;
  readonly living: readonly ArmedDaemon[];
  /** Gives all that live the same order: the first that comes to the point is struck, and no other. */
  aim(order: Omit<Order, 'once'>): Promise<readonly ArmedDaemon[]>;
  end(): Promise<void>;
}

const linesKept = 40;

async function start(
  entry: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ArmedDaemon> {
  const child: ChildProcess = spawn(process.execPath, [entry, ...argv], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const lines: string[] = [];
  const reports: Report['kind'][] = [];
  let alive = true;
  let ready = false;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      alive = false;
      process.off('exit', end);
      resolve();
    });
  });
  createInterface({ input: child.stderr ?? process.stdin }).on('line', (line) => {
    lines.push(line);
    if (lines.length > linesKept) lines.shift();
    if (line.includes('"msg":"daemon.ready"')) ready = true;
  });
  child.on('message', (report: Report) => reports.push(report.kind));
  const daemon: ArmedDaemon = {
    pid: child.pid ?? 0,
    get alive() {
      return alive;
    },
    reports,
    async give(order) {
      if (!alive) return;
      reports.splice(0);
      child.send({ order });
      await until('the order to be taken', async () => (!alive || reports.length > 0 ? true : null));
    },
    signal: (name) => void child.kill(name),
    ended,
    lastLines: () => lines.join('\n'),
  };
  await until('a daemon to be ready', async () => {
    if (!alive) throw new Error(`a daemon ended before it was ready:\n${lines.join('\n')}`);
    return ready ? true : null;
  });
  return daemon;
}

export function armedDaemons(argv: readonly string[], environment: Readonly<Record<string, string>>): ArmedDaemons {
  const build = makeTestBuild();
  let aimed = 0;
  let started: ArmedDaemon[] = [];
  let starting: Promise<ArmedDaemon>[] = [];
  const living = () => started.filter(({ alive }) => alive);

  function replace(count: number): void {
    for (let missing = count - living().length - starting.length; missing > 0; missing -= 1) {
      const one = start(build.entry, argv, environment);
      starting.push(one);
      one.then(
        (daemon) => {
          started = [...living(), daemon];
          starting = starting.filter((each) => each !== one);
        },
        // Told to whoever waits for it.
        () => undefined,
      );
    }
  }

  return {
    get living() {
      return living();
    },
    async aim(order) {
      aimed += 1;
      const all = living();
      const once = join(build.folder, `struck-${aimed}`);
      await Promise.all(all.map((each) => each.give({ ...order, once })));
      return all;
    },
    replace,
    async ready(count) {
      replace(count);
      await Promise.all(starting);
      return living();
    },
    async end() {
      await Promise.allSettled(starting);
      for (const daemon of living()) {
        daemon.signal('SIGCONT');
        daemon.signal('SIGKILL');
        await daemon.ended;
      }
      build.remove();
    },
  };
}
