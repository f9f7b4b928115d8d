import type { Millis } from '../runtime/clock.ts';

/** What becomes of what stands still, and of the processes of `--workers`. */
export type WorkerEvent =
  /** A loop made no step within its bound: its service is begun anew, up to three times in ten minutes. */
  | { readonly event: 'loop.wedged'; readonly loop: string; readonly service: string; readonly times: number }
  | { readonly event: 'worker.started'; readonly worker: number; readonly pid: number }
  | {
      readonly event: 'worker.ended';
      readonly worker: number;
      readonly pid: number;
      /** Null where a signal ended it. */
      readonly code: number | null;
      readonly signal: string | null;
      /** Null where it is not started again. */
      readonly retry_in_ms: Millis | null;
    }
  /** It is told to stop, and then made to: one of its loops, or all of it, stands still. */
  | { readonly event: 'worker.stuck'; readonly worker: number; readonly pid: number; readonly state: string };
