import type { Millis } from '../runtime/clock.ts';

/** What a handler does to the process that it runs in. */
export type FaultEvent =
  /** An error that nobody caught, or a call of `process.exit`: the process drains, or is gone at once. */
  | {
      readonly event: 'process.faulted';
      readonly what: 'exit' | 'exception' | 'rejection';
      /** The handler and the message that it came from; null where several may have been it, or none. */
      readonly subscription: string | null;
      readonly message_type: string | null;
      readonly message_id: string | null;
      readonly attempt: number | null;
      readonly certain: boolean;
      /** `<handler> <message id>` of all that may have been it. */
      readonly suspects: readonly string[];
      readonly err: Error;
    }
  /** The event loop stands still: said from the midst of it. */
  | {
      readonly event: 'loop.stalled';
      readonly stalled_ms: Millis;
      readonly subscription: string | null;
      readonly message_type: string | null;
      readonly message_id: string | null;
      readonly suspects: readonly string[];
      /** What runs, innermost first: `name file:line:column`. */
      readonly where: readonly string[];
      /** It has stood so long that the process ends here. */
      readonly exiting: boolean;
    }
  | {
      readonly event: 'handler.slow';
      readonly subscription: string;
      readonly message_id: string;
      readonly message_type: string;
      readonly duration_ms: Millis;
    }
  /** A handler was cut short and does not end: `lingering` counts those of the process. */
  | {
      readonly event: 'handler.lingering';
      readonly subscription: string;
      readonly message_type: string | null;
      readonly message_id: string | null;
      readonly lingering: number;
    };
