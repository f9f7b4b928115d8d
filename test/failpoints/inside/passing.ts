import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { UnavailableError } from '../../../src/runtime/errors.ts';

/**
 * What happens at a point: the process is gone; the call fails as an outage does; its answer takes long while the rest of
 * the process goes on; or the whole process stands still while a second one goes on.
 */
export type Fault = 'kill' | 'throw' | 'hang' | 'second';

/** What the test says to the daemons. */
export interface Order {
  readonly point: string;
  readonly fault: Fault;
  readonly hangMs: number;
  /** The one that makes this file is struck, and no other. */
  readonly once: string;
}

/** What a daemon says to the test. */
export type Report =
  | { readonly kind: 'ordered' }
  | { readonly kind: 'struck'; readonly point: string }
  /** Behind the point, after it hung or stood still. */
  | { readonly kind: 'went_on'; readonly point: string };

let order: Order | null = null;

process.on('message', (given: { readonly order: Order }) => {
  order = given.order;
  say({ kind: 'ordered' });
});

// The test is over, however it ended.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const say = (report: Report) => process.send?.(report);

/** A point that the process passes: nothing, unless it was ordered to be struck here, and then once. */
export async function passing(point: string): Promise<void> {
  if (order?.point !== point) return;
  const { fault, hangMs, once } = order;
  order = null;
  if (!isFirst(once)) return;
  say({ kind: 'struck', point });
  switch (fault) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return;
    case 'throw':
      throw new UnavailableError('struck', `struck at ${point}`);
    case 'hang':
      await delay(hangMs);
      break;
    case 'second':
      process.kill(process.pid, 'SIGSTOP');
      break;
  }
  say({ kind: 'went_on', point });
}

function isFirst(file: string): boolean {
  try {
    writeFileSync(file, '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

/** A call with a point before it and one behind it. */
export async function between<T>(name: string, call: () => Promise<T>, matters: (answer: T) => boolean = always) {
  await passing(`before ${name}`);
  const answer = await call();
  if (matters(answer)) await passing(`after ${name}`);
  return answer;
}

const always = () => true;
