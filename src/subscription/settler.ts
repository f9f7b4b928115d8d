import type { Consumer, Delivery, Settlement } from '../broker/broker.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import { createWake } from '../runtime/wake.ts';

/**
 * Gathers settlements so that many go in one round trip. Acknowledgements wait a moment for the next read to carry
 * them, but for those of partitions, where the next message waits for them; everything else, and acknowledgements that no
 * read came for, go by a call of their own. What the broker did not take is kept and tried again.
 */
export interface Settler {
  add(settlement: Settlement): void;
  /** The acknowledgements so far, for a read to carry; `putBack` them when it fails. */
  takeAcks(): readonly Delivery[];
  putBack(acks: readonly Delivery[]): void;
  /** Runs until `stop` aborts and everything is settled, or `abandon` aborts. */
  run(stop: AbortSignal, abandon: AbortSignal): Promise<void>;
}

export interface SettlerDeps {
  readonly consumer: Consumer;
  readonly clock: Clock;
  readonly loop: LoopOptions;
  /** Called with what was settled, and with what belongs to another consumer by now. */
  readonly onSettled: (settled: readonly Settlement[], disowned: readonly Delivery[]) => void;
}

/** How long an acknowledgement waits for a read. */
const patienceMs: Millis = 10;

export function createSettler(deps: SettlerDeps): Settler {
  const { consumer, clock, onSettled } = deps;
  const wake = createWake(clock);
  let acks: Delivery[] = [];
  let others: Settlement[] = [];

  async function flush(): Promise<void> {
    const batch: readonly Settlement[] = [...acks.map((delivery) => ({ kind: 'ack', delivery }) as const), ...others];
    if (batch.length === 0) return;
    const [takenAcks, takenOthers] = [acks, others];
    acks = [];
    others = [];
    let disowned: readonly Delivery[] | null = null;
    try {
      disowned = await consumer.settle(batch);
    } finally {
      if (disowned === null) {
        acks = [...takenAcks, ...acks];
        others = [...takenOthers, ...others];
      }
    }
    onSettled(batch, disowned);
  }

  return {
    add(settlement) {
      if (settlement.kind === 'ack') acks.push(settlement.delivery);
      else others.push(settlement);
      wake.notify();
    },
    takeAcks() {
      const taken = acks;
      acks = [];
      return taken;
    },
    putBack(taken) {
      acks = [...taken, ...acks];
      wake.notify();
    },
    async run(stop, abandon) {
      const step = async () => {
        if (acks.length === 0 && others.length === 0) await wake.rest(10_000, stop);
        if (others.length === 0 && !consumer.partitioned && !stop.aborted) await clock.sleep(patienceMs, stop);
        await flush();
        return 0;
      };
      await loop(step, stop, deps.loop);
      const done = new AbortController();
      const finish = async () => {
        await flush();
        if (acks.length === 0 && others.length === 0) done.abort();
        return 0;
      };
      await loop(finish, AbortSignal.any([abandon, done.signal]), deps.loop);
    },
  };
}
