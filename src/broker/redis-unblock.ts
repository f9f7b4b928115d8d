import type { Millis } from '../runtime/clock.ts';
import type { Membership } from './redis-membership.ts';

/** What blocks, and how it is reached meanwhile. */
type Reading = Pick<Membership, 'reader' | 'ask' | 'clock'>;

const everyMs: Millis = 20;
const tries = 50;

/**
 * Waits for a read that may block. When `signal` aborts, Redis is asked over the other connection to end it, so that its
 * answer still comes, with the entries that may be in it: to hang up instead would leave them delivered to nobody.
 */
export async function untilAborted<T>(asking: Promise<T>, signal: AbortSignal, reading: Reading): Promise<T> {
  const answered = new AbortController();
  const unblocking = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(unblock(reading, answered.signal)), { signal: answered.signal });
    answered.signal.addEventListener('abort', () => resolve());
    if (signal.aborted) resolve(unblock(reading, answered.signal));
  });
  try {
    return await asking;
  } finally {
    answered.abort();
    await unblocking;
  }
}

/** Asks more than once, because the request may overtake the read on its own connection. */
async function unblock({ reader, ask, clock }: Reading, answered: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < tries && !answered.aborted; attempt += 1) {
    const id = reader.clientId();
    const asked = id === null ? false : await ask.one(['CLIENT', 'UNBLOCK', id, 'TIMEOUT']).then(done, failed);
    if (!asked) break;
    await clock.sleep(everyMs, answered);
  }
  // What the lost answer brought is found by the next read, or given back on leaving.
  if (!answered.aborted) reader.drop();
}

const done = () => true;
const failed = () => false;
