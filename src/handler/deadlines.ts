import { deadlinePassed } from '../message/deadline.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { DeadlinePassedError } from '../runtime/errors.ts';
import { HandlerTimeoutError, UnavailableError } from '../runtime/errors.ts';
import type { LogFacts, Scope } from './context.ts';
import { logFacts } from './context.ts';

/** Ends a running handler's say: whatever it still does, it is heard no more. */
export type Cut = (reason: HandlerTimeoutError | DeadlinePassedError | UnavailableError) => void;

/** What cuts the running handlers of one subscription short: their time, and the hard stop. */
export interface Deadlines {
  /**
   * A handler begins: `cut` is called when its time is up or the daemon must go, unless it has ended. Its time ends with
   * the message's own deadline, where that is sooner.
   */
  begin(cut: Cut, deadlineAt?: Millis | null): void;
  end(cut: Cut): void;
  /** The handler of `scope` was cut short, but `running` has yet to settle: code cannot be stopped from outside. */
  linger(running: unknown, scope?: Scope): void;
  /** How many handlers that were cut short still run. */
  readonly lingering: number;
  /** Lets go of the timer; handlers that still run have no deadline any more. */
  close(): void;
}

export interface DeadlinesDeps {
  readonly clock: Clock;
  /** The hard stop of the daemon. */
  readonly hard: AbortSignal;
  /** Told of each handler that was cut short: it resolves `ended` if it ever ends. */
  readonly onLinger?: (about: LogFacts | null, ended: Promise<void>) => void;
}

/**
 * One timer for all handlers of a subscription: they have the same time, so they are due in the order in which they
 * began, and only the oldest is waited for. A handler costs an entry in a Map (0.2 µs) rather than a timer.
 */
export function createDeadlines(timeoutMs: Millis, { clock, hard, onLinger }: DeadlinesDeps): Deadlines {
  const running = new Map<Cut, Millis>();
  /** Those whose message has a deadline that is sooner: each has a timer of its own. */
  const hurried = new Map<Cut, AbortController>();
  const closed = new AbortController();
  let watching = false;
  let lingering = 0;

  async function watch(): Promise<void> {
    watching = true;
    while (!closed.signal.aborted) {
      const [oldest] = running;
      if (oldest === undefined) break;
      const [cut, dueAt] = oldest;
      const leftMs = dueAt - clock.monotonic();
      if (leftMs > 0) {
        await clock.sleep(leftMs, closed.signal);
      } else {
        running.delete(cut);
        cut(new HandlerTimeoutError(`the handler has taken more than ${timeoutMs} ms`));
      }
    }
    watching = false;
  }

  async function hurry(cut: Cut, deadlineAt: Millis): Promise<void> {
    const ended = new AbortController();
    hurried.set(cut, ended);
    await clock.sleep(deadlineAt - clock.now(), ended.signal);
    if (hurried.delete(cut)) cut(deadlinePassed(deadlineAt));
  }

  function unhurry(cut: Cut): void {
    const ended = hurried.get(cut);
    hurried.delete(cut);
    ended?.abort();
  }

  function stop(): void {
    closed.abort();
    const all = [...running.keys()];
    running.clear();
    for (const cut of hurried.keys()) unhurry(cut);
    for (const cut of all) cut(stopping());
  }

  hard.addEventListener('abort', stop, { once: true });

  return {
    begin(cut, deadlineAt = null) {
      if (hard.aborted) return cut(stopping());
      if (deadlineAt !== null && deadlineAt <= clock.now()) return cut(deadlinePassed(deadlineAt));
      if (deadlineAt !== null && deadlineAt - clock.now() < timeoutMs) void hurry(cut, deadlineAt);
      running.set(cut, clock.monotonic() + timeoutMs);
      if (!watching) void watch();
    },
    end(cut) {
      running.delete(cut);
      if (hurried.size > 0) unhurry(cut);
    },
    linger(handler, scope) {
      lingering += 1;
      const end = () => {
        lingering -= 1;
      };
      const ended = Promise.resolve(handler).then(end, end);
      onLinger?.(scope === undefined ? null : logFacts(scope), ended);
    },
    get lingering() {
      return lingering;
    },
    close() {
      hard.removeEventListener('abort', stop);
      closed.abort();
      for (const cut of hurried.keys()) unhurry(cut);
    },
  };
}

const stopping = () => new UnavailableError('stopping', 'the daemon stops and could not wait for the handler');
