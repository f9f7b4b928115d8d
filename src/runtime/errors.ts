/**
 * Every error that domaind throws itself, one class a kind of remedy. `code` is stable snake_case: alerts, tests and
 * `[server.retry.<name>]` match on it. Messages say what, where and what to do; they never hold a payload or a secret.
 */
export class DomaindError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** One fault of domain.toml or of a module it names, with its place where one is known. */
export interface Fault {
  /** Machine-readable kind: `unknown_key`, `wrong_type`, `out_of_range`, `missing`, `conflict`, `syntax`, … */
  readonly code: string;
  /** `domain.toml:12:5`, or a path alone. */
  readonly where: string;
  readonly message: string;
}

/** domain.toml, or a module it names, is wrong. Carries every fault at once; ends the process with exit code 78. */
export class ConfigError extends DomaindError {
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[], options?: ErrorOptions) {
    super('configuration', faults.map(({ where, message }) => `${where} ${message}`).join('\n'), options);
    this.faults = faults;
  }
}

/** A command was called wrongly. Exit code 2. */
export class UsageError extends DomaindError {
  constructor(message: string) {
    super('usage', message);
  }
}

/**
 * The broker or the database cannot be reached, or did not answer in time, so the outcome is unknown. Says nothing
 * about the message in hand: nothing is counted against it, the loop waits it out.
 */
export class UnavailableError extends DomaindError {}

/** What is there is not what the daemon needs: a missing table, a missing grant, a key of another type. Waiting does not mend it. */
export class MisconfiguredError extends DomaindError {}

/** A handler ran past its time. It may still be running, so its message may be handled twice at once. */
export class HandlerTimeoutError extends DomaindError {
  constructor(message: string, options?: ErrorOptions) {
    super('handler_timeout', message, options);
  }
}

/** The consumer no longer owns the entry: another one has taken it over, and will settle it. */
export class NotOwnedError extends DomaindError {
  constructor(message: string) {
    super('not_owned', message);
  }
}

/** A body that is not a message, or an envelope that lacks what it must have. No retry can mend it. */
export class DecodeError extends DomaindError {}

/**
 * A message that is not what its schema says, refused before it is written. The text says where in its payload, never
 * with a value of it.
 */
export class InvalidMessageError extends DomaindError {
  constructor(message: string) {
    super('invalid_message', message);
  }
}

/** A message whose `deadline` has passed: nobody waits for it any more, and no retry can mend that. */
export class DeadlinePassedError extends DomaindError {
  constructor(message: string) {
    super('deadline_passed', message);
  }
}

/** A message that took the process down with it, `max_crashes` times. */
export class CrashLoopError extends DomaindError {
  constructor(message: string) {
    super('crash_loop', message);
  }
}

/** Thrown by a handler: do not try this message again. */
export class NonRetryableError extends DomaindError {
  constructor(message: string, options?: ErrorOptions) {
    super('non_retryable', message, options);
  }
}

/** Thrown by a handler: try this message again after `afterMs` rather than by backoff. */
export class RetryAfterError extends DomaindError {
  readonly afterMs: number;

  constructor(message: string, afterMs: number, options?: ErrorOptions) {
    super('retry_after', message, options);
    this.afterMs = afterMs;
  }
}

/** Thrown when an aggregate changed between reading and writing it. Retried at once by `[server.version_retry]`. */
export class ConcurrencyError extends DomaindError {
  constructor(message: string, options?: ErrorOptions) {
    super('concurrency', message, options);
  }
}

/**
 * Whether `error` is of the class `name`, also when the user's module loaded another copy of this package: compared by
 * the name up the prototype chain, not by identity.
 */
export const isErrorNamed = (error: unknown, name: string): boolean =>
  error instanceof Error && classNamesOf(error).includes(name);

/** What an error calls itself, then the names of its class and of those that it extends, up to `Error`. */
export function classNamesOf(error: Error): readonly string[] {
  const names = [error.name];
  for (let at: unknown = error; at instanceof Error; at = Object.getPrototypeOf(at)) {
    const name: unknown = at.constructor?.name;
    if (typeof name === 'string') names.push(name);
  }
  return [...names, 'Error'];
}
