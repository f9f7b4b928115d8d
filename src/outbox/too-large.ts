import type { Failure } from '../runtime/failure.ts';

/** Why a row is abandoned before any broker has seen it. */
export const tooLarge = (size: number, most: number): Failure => ({
  type: 'TooLarge',
  code: 'too_large',
  message: `${size} bytes are more than max_message_bytes = ${most} allows`,
  stack: null,
});
