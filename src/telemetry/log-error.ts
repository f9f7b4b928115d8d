import { toFailure } from '../runtime/failure.ts';

/** What a log line says of an error: an allow-list, in this order. */
export interface LoggedError {
  readonly type: string;
  readonly code?: string;
  /** At most 4 KiB. */
  readonly message: string;
  /** At most 16 KiB. */
  readonly stack?: string;
  /** At most three deep. */
  readonly cause?: LoggedError;
}

const maxCauses = 3;
const maxStack = 16_384;

/**
 * An error as it may be logged. Drivers hang credentials and payloads on their errors (ioredis: `command.args`;
 * PostgreSQL: `detail`, `where`, `parameters`; URL: `input`), so nothing is taken but what is listed. Never throws.
 */
export function toLoggedError(thrown: unknown, causes = maxCauses): LoggedError {
  const { type, code, message, stack } = toFailure(thrown);
  const cause = causes > 0 ? causeOf(thrown) : undefined;
  const said = message === '' ? messagesOfMany(thrown) : message;
  return {
    type,
    ...(code === null ? {} : { code }),
    message: said,
    ...(stack === null ? {} : { stack: boundedStack(type, said, stack) }),
    ...(cause === undefined ? {} : { cause: toLoggedError(cause, causes - 1) }),
  };
}

/** What tells kinds of errors apart: the code, or else the class and its words without their numbers. Never throws. */
export function kindOfError(thrown: unknown): string {
  const code = read(thrown, 'code');
  if (typeof code === 'string' || typeof code === 'number') return String(code);
  const message = read(thrown, 'message');
  const words = typeof message === 'string' ? message.slice(0, 160).replace(/[0-9a-f-]*[0-9][0-9a-f-]*/gi, '#') : '';
  const name = read(thrown, 'name');
  return `${typeof name === 'string' ? name : 'unknown'} ${words}`;
}

/** The frames below one bounded headline: V8 repeats the whole message at the top of a stack. */
function boundedStack(type: string, message: string, stack: string): string {
  const frames = stack.indexOf('\n    at ');
  return `${type}: ${message}${frames === -1 ? '' : stack.slice(frames)}`.slice(0, maxStack);
}

/** A connection tried on several addresses fails with an AggregateError that says nothing itself. */
function messagesOfMany(thrown: unknown): string {
  const many = read(thrown, 'errors');
  if (!Array.isArray(many)) return '';
  return many
    .slice(0, 4)
    .map((each) => toFailure(each).message)
    .join('; ');
}

const causeOf = (thrown: unknown): unknown => read(thrown, 'cause') ?? undefined;

function read(thrown: unknown, key: string): unknown {
  try {
    return (thrown as { readonly [name: string]: unknown } | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}
