import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One run, as far as it is told to whoever asked for many. */
export interface Told {
  readonly seed: number;
  readonly digest: number;
  readonly breaches: readonly string[];
  readonly sent: number;
  readonly repeated: number;
  readonly republished: number;
  readonly deadLetters: number;
  readonly faults: readonly (readonly [string, number])[];
  readonly recoveryMs: number;
  readonly boundMs: number;
}

/** What a process that simulates is asked for. */
export interface Range {
  readonly from: number;
  readonly count: number;
}

/** So many seeds a time: the processes end together. */
const rangeSize = 10;

/** Simulates seeds in as many processes as there are processors; told in no order. Rejects where a process dies. */
export async function campaign({ from, count }: Range, onTold: (run: Told) => void): Promise<void> {
  let next = from;
  const end = from + count;

  const simulateSome = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(new URL('./campaign-process.ts', import.meta.url)), {
        execArgv: ['--conditions=domaind-source', '--import=tsx', '--stack-trace-limit=0'],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      });
      let asked: Range = { from: next, count: 0 };
      const ask = () => {
        if (next >= end) return child.disconnect();
        asked = { from: next, count: Math.min(rangeSize, end - next) };
        next += asked.count;
        child.send(asked);
      };
      child.on('message', (message: readonly Told[]) => {
        for (const run of message) onTold(run);
        ask();
      });
      child.on('exit', (code) => {
        if (code === 0) resolve();
        else
          reject(new Error(`a simulation of seeds ${asked.from} to ${asked.from + asked.count - 1} died with ${code}`));
      });
      ask();
    });

  await Promise.all(
    Array.from({ length: Math.min(availableParallelism(), Math.ceil(count / rangeSize)) }, simulateSome),
  );
}
