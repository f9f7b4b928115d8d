import type { Clock, Random } from '../runtime/clock.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import type { Emit } from '../telemetry/event.ts';
import type { HealthState } from '../telemetry/health.ts';
import type { BoundLog } from '../telemetry/log.ts';

export interface WorkerDeps {
  /** Unique to this process: in lease owners and consumer names. */
  readonly id: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly loopOptions: LoopOptionsFor;
  readonly state: HealthState;
  readonly handlerLog: (bindings: { readonly [key: string]: string | number | null }) => BoundLog;
}
