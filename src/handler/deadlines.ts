import { deadlinePassed } from '../message/deadline.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { DeadlinePassedError } from '../runtime/errors.ts';
import { HandlerTimeoutError, UnavailableError } from '../runtime/errors.ts';
import type { LogFacts, Scope } from './context.ts';
import { logFacts } from './context.ts';

/** Ends a running handler's say: whatever it still does, it is heard no more. */
export type Cut = (reason: HandlerTimeoutError | DeadlinePassedError | UnavailableError) => void;

/**
 * The time of one handler. Emptied at its end: the tables that a Set has outgrown stay until the whole heap is looked
 * through, with all that stood in them then, and would keep messages there that nobody needs any more.
 */
export interface Timed {
  cut: Cut | null;
  readonly dueAt: Millis;
  /** Ends the wait for the message's own deadline, where that is sooner. */
  hurry: AbortController | null;
}

/** What cuts the running handlers of one subscription short: their time, and the hard stop. */
export interface Deadlines {
  /**
   * A handler begins: `cut` is called when its time is up or the daemon must go, unless it has ended. Its time ends with
   * the message's own deadline, where that is sooner.
   */
  begin(cut: Cut, deadlineAt?: Millis | null): Timed;
  end(timed: Timed): void;
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
 * began, and only the oldest is waited for. A handler costs an entry in a Set (0.2 µs) rather than a timer.
 */
export function createDeadlines(timeoutMs: Millis, { clock, hard, onLinger }: DeadlinesDeps): Deadlines {
  const running = new Set<Timed>();
  const closed = new AbortController();
  let watching = false;
  let lingering = 0;

  async function watch(): Promise<void> {
    watching = true;
    while (!closed.signal.aborted) {
      const [oldest] = running;
      if (oldest === undefined) break;
      const leftMs = oldest.dueAt - clock.monotonic();
      if (leftMs > 0) await clock.sleep(leftMs, closed.signal);
      else expire(oldest, new HandlerTimeoutError(`the handler has taken more than ${timeoutMs} ms`));
    }
    watching = false;
  }

  /** For those whose message has a deadline that is sooner: each has a timer of its own. */
  async function hurry(timed: Timed, deadlineAt: Millis): Promise<void> {
    const ended = new AbortController();
    timed.hurry = ended;
    await clock.sleep(deadlineAt - clock.now(), ended.signal);
    expire(timed, deadlinePassed(deadlineAt));
  }

  function end(timed: Timed): Cut | null {
    const { cut } = timed;
    running.delete(timed);
    timed.cut = null;
    timed.hurry?.abort();
    return cut;
  }

  const expire = (timed: Timed, reason: Parameters<Cut>[0]): void => end(timed)?.(reason);

  function stop(): void {
    closed.abort();
    for (const timed of [...running]) expire(timed, stopping());
  }

  hard.addEventListener('abort', stop, { once: true });

  return {
    begin(cut, deadlineAt = null) {
      const timed: Timed = { cut, dueAt: clock.monotonic() + timeoutMs, hurry: null };
      if (hard.aborted) expire(timed, stopping());
      else if (deadlineAt !== null && deadlineAt <= clock.now()) expire(timed, deadlinePassed(deadlineAt));
      else {
        running.add(timed);
        if (deadlineAt !== null && deadlineAt - clock.now() < timeoutMs) void hurry(timed, deadlineAt);
        if (!watching) void watch();
      }
      return timed;
    },
    end: (timed) => void end(timed),
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
      for (const { hurry: waiting } of running) waiting?.abort();
    },
  };
}

const stopping = () => new UnavailableError('stopping', 'the daemon stops and could not wait for the handler');
