import { ConcurrencyError } from '../runtime/errors.ts';

/** What an append throws to a stream that is not at the version its writer expected. `actual` null: not known. */
export function concurrencyError(
  stream: string,
  expected: number,
  actual: number | null,
  options?: ErrorOptions,
): ConcurrencyError {
  const is = actual === null ? 'is at another one' : actual === -1 ? 'is empty' : `is at ${actual}`;
  return new ConcurrencyError(
    `stream "${stream}" ${is}, not at the expected version ${expected}: load the aggregate again, and decide again`,
    options,
  );
}
