import type { InProcess } from '../handler/in-process.ts';
import type { Lingering } from '../handler/lingering.ts';
import type { Raised } from '../handler/raised.ts';
import type { Running } from '../handler/running.ts';
import type { Catalog } from '../message/catalog.ts';
import type { Clock, Random } from '../runtime/clock.ts';
import type { LoopOptionsFor } from '../runtime/loop.ts';
import type { Load } from '../subscription/in-hand.ts';
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
  /** Told when only a new process helps; left out, services whose loops stand still are not begun anew. */
  readonly onHopeless?: (reason: string) => void;
  /** What is known of the domain's messages; left out, nothing is. */
  readonly catalog?: Catalog;
  /** Where handlers that were cut short and still run are counted. */
  readonly lingering?: Lingering;
  /** Where messages are handled in this process; left out, all go by way of the outbox. */
  readonly inProcess?: InProcess;
  /** For tests: shown what is handled in this process. */
  readonly onTaken?: (message: Raised) => void;
  /** The bytes in hand of all subscriptions. */
  readonly load?: Load;
  /** Where calls of handlers are kept while they are under way. */
  readonly running?: Running;
  readonly handlerLog: (bindings: { readonly [key: string]: string | number | null }) => BoundLog;
}
