import type { Delivery } from '../broker/broker.ts';
import { keyOf } from './in-hand.ts';

/**
 * Where a subscription stops at what was given up (`on_poison = "halt"`):
 *
 *   free ──at──▶ halted ──lifted, nothing parked──▶ free
 *                   └─────lifted──▶ catching up ──the last parked one admitted──▶ free
 *
 * What came into hand meanwhile is parked, and goes before whatever is read afterwards, so that the order is kept.
 */
export interface Halt {
  /** Whether nothing may be read. */
  readonly stands: boolean;
  at(delivery: Delivery): void;
  /** It is gone: handled, given up in another way, or taken by somebody else. */
  lift(delivery: Delivery): void;
  park(delivery: Delivery): void;
  /** Whether a handler may have it now. */
  admits(delivery: Delivery): boolean;
  admitted(delivery: Delivery): void;
}

/** `onMove` is called when less is held back than before. */
export function createHalt(onMove: () => void): Halt {
  const reasons = new Set<string>();
  const parked = new Set<string>();
  return {
    get stands() {
      return reasons.size > 0 || parked.size > 0;
    },
    at: (delivery) => void reasons.add(keyOf(delivery)),
    lift(delivery) {
      if (reasons.size === 0 && parked.size === 0) return;
      const key = keyOf(delivery);
      const [lifted, gone] = [reasons.delete(key), parked.delete(key)];
      if (lifted || gone) onMove();
    },
    park: (delivery) => void parked.add(keyOf(delivery)),
    admits(delivery) {
      if (reasons.size === 0 && parked.size === 0) return true;
      return (reasons.size > 0 ? reasons : parked).has(keyOf(delivery));
    },
    admitted(delivery) {
      if (parked.size > 0 && parked.delete(keyOf(delivery))) onMove();
    },
  };
}
