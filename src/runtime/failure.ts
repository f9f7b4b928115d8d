/** What is kept of an error: in an outbox row, in an attempt's history, in a dead letter. Bounded, and free of payloads. */
export interface Failure {
  /** The error's class name. */
  readonly type: string;
  /** Its stable code (`handler_timeout`, `23505`, `WRONGTYPE`, …), or null. */
  readonly code: string | null;
  /** At most 4 KiB. */
  readonly message: string;
  /** At most 16 KiB, or null. */
  readonly stack: string | null;
}

const maxMessage = 4_096;
const maxStack = 16_384;

/** An error for whatever was thrown: null, strings, proxies and objects with throwing getters included. Never throws. */
export function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown;
  } catch {
    return new Error('[unserializable]');
  }
  return new Error(`thrown, not an Error: ${safely(() => String(thrown), '[unserializable]')}`);
}

/** The parts of an error worth keeping, each read in a way that cannot throw. */
export function toFailure(thrown: unknown): Failure {
  const error = toError(thrown);
  const code = safely(() => ('code' in error ? error.code : null), null);
  return {
    type: text(() => error.name, 'Error', 256),
    code: typeof code === 'string' || typeof code === 'number' ? String(code).slice(0, 64) : null,
    message: text(() => error.message, '[unserializable]', maxMessage),
    stack: safely(() => (typeof error.stack === 'string' ? error.stack.slice(0, maxStack) : null), null),
  };
}

function text(read: () => unknown, fallback: string, limit: number): string {
  const value = safely(read, fallback);
  return typeof value === 'string' ? value.slice(0, limit) : fallback;
}

function safely<T, F>(read: () => T, fallback: F): T | F {
  try {
    return read();
  } catch {
    return fallback;
  }
}
