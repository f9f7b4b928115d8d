import type { Millis } from '../runtime/clock.ts';
import type { Membership } from './redis-membership.ts';

/** What blocks, and how it is reached meanwhile. */
type Reading = Pick<Membership, 'reader' | 'ask' | 'clock'>;

const everyMs: Millis = 20;
const tries = 50;

/**
 * Waits for a read that may block. When `signal` aborts, Redis is asked over the other connection to end it, so that its
 * answer still comes, with the entries that may be in it: to hang up instead would leave them delivered to nobody.
 *
 * The listener is taken away by hand: one that ends with a signal of its own is held by weak references, which keep it, and
 * all that the read brought, until the whole heap is looked through.
 */
export async function untilAborted<T>(asking: Promise<T>, signal: AbortSignal, reading: Reading): Promise<T> {
  let answered: AbortController | null = null;
  let unblocking: Promise<void> | null = null;
  const begin = () => {
    answered = new AbortController();
    unblocking = unblock(reading, answered.signal);
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  try {
    return await asking;
  } finally {
    signal.removeEventListener('abort', begin);
    (answered as AbortController | null)?.abort();
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
