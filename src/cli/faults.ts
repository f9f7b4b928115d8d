import { isConnectionLoss } from '../connection/errors-of-postgresql.ts';
import type { Running } from '../handler/running.ts';
import { toError } from '../runtime/failure.ts';
import type { Emit } from '../telemetry/event.ts';

export interface FaultsDeps {
  readonly emit: Emit;
  /** Whose fault it may be. */
  readonly running: Running;
  /** Writes out what was said so far: the process may be gone the next moment. */
  readonly flush: () => void;
}

export interface Faults {
  /** Aborts at the first: the state is unknown, so the process drains and ends. */
  readonly signal: AbortSignal;
  /** Asks for a new process for another reason. */
  stop(reason: string): void;
  /** Keeps handlers from `process.exit` until the returned function is called. */
  forbidExit(): () => void;
}

/** The exit code of a process that a handler has brought down, or that cannot be trusted any more. */
export const internalFault = 70;

/**
 * What handlers do to the process beyond their say: errors of work that nobody awaits, and `process.exit`, which would
 * end it without its drain. Each is said with the message that it came from, as far as that can be told.
 */
export function followFaults({ emit, running, flush }: FaultsDeps): Faults {
  const fault = new AbortController();
  const { exit } = process;

  function say(what: 'exit' | 'exception' | 'rejection', err: Error): void {
    const { certain, calls } = running.suspects();
    const [only] = certain || calls.length === 1 ? calls : [];
    emit({
      event: 'process.faulted',
      what,
      subscription: only?.handler ?? null,
      message_type: only?.message_type ?? null,
      message_id: only?.message_id ?? null,
      attempt: only?.attempt ?? null,
      certain,
      suspects: calls.map(({ handler, message_id }) => `${handler} ${message_id}`),
      err,
    });
  }

  const on = (what: 'exception' | 'rejection') => (thrown: unknown) => {
    const error = toError(thrown);
    // A connection that was lost says nothing of this process's state, and those that need it say so themselves.
    if (isConnectionLoss(error)) return emit({ event: 'connection.lost', connection: 'of nobody', err: error });
    say(what, error);
    fault.abort('a fault that nobody caught');
  };
  process.on('uncaughtException', on('exception'));
  process.on('unhandledRejection', on('rejection'));

  function refuse(code?: number | string | null): never {
    const error = new Error(`process.exit(${code ?? ''}) was called while the daemon ran`);
    // So that the stack begins with the line that called it.
    Error.captureStackTrace(error, refuse);
    say('exit', error);
    flush();
    return exit.call(process, internalFault);
  }
  return {
    signal: fault.signal,
    stop: (reason) => fault.abort(reason),
    forbidExit() {
      process.exit = refuse;
      return () => {
        process.exit = exit;
      };
    },
  };
}
