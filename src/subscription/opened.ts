import type { Outcome } from '../handler/invoke.ts';
import type { Message } from '../message/message.ts';
import type { Millis } from '../runtime/clock.ts';

/** How the handler is run on a delivery whose body has been understood. */
export interface Run {
  readonly attempt: number;
  /** Aborts when the handler is to be cut short: made when first asked for. */
  readonly signal: () => AbortSignal;
}

/** A delivery, decoded: what it is about, and the handler ready to run on it. */
export interface Opened {
  /** What the order is kept for: the stream of one aggregate; unique where there is none. */
  readonly key: string;
  readonly messageId: string | null;
  readonly messageType: string | null;
  readonly correlationId: string | null;
  /** When it was raised, by the producer's clock; null where it says none. */
  readonly raisedAt: Millis | null;
  /** Never rejects. A body that could not be decoded answers `failed` with the DecodeError. */
  readonly run: (run: Run) => Promise<Outcome>;
  /** The message for a batch, once: what is taken may be changed by its handler. Null where it is to run by itself. */
  readonly take?: () => Message | null;
}
