import type { Delivery } from '../broker/broker.ts';
import type { Load } from './in-hand.ts';

/**
 * How many deliveries may be asked for, by the size of their bodies: nobody knows it before they are here. So the first
 * read is small, each that came full lets the next be twice as large, and what the largest bodies seen lately would come to
 * bounds them all.
 */
export interface Appetite {
  /** How many, given the bytes in hand; 0 for none now, never where nothing is in hand. */
  count(bytesInHand: number): number;
  /** What a read brought that had asked for `asked`. */
  ate(deliveries: readonly Delivery[], asked: number): void;
}

/** Bodies of so many characters may be in hand at once, and one for each subscription that has none. Decoded and parsed, each takes several times its size. */
const maxInHand = 16 * 1024 * 1024;
const maxARead = 4 * 1024 * 1024;
const firstCount = 1;
const mostCount = 100_000;

/** `load`: the bytes in hand of all subscriptions of this process, whose memory it is. */
export function createAppetite(load: Load): Appetite {
  let largest = 1;
  let allowed = firstCount;
  return {
    count(bytesInHand) {
      if (bytesInHand > 0 && load.bytes + largest > maxInHand) return 0;
      const fitting = Math.floor(Math.min(maxARead, maxInHand - load.bytes) / largest);
      return Math.max(1, Math.min(allowed, fitting));
    },
    ate(deliveries, asked) {
      for (const { body } of deliveries) {
        const size = body.length;
        largest = size > largest ? size : largest + (size - largest) / 32;
      }
      if (deliveries.length >= asked) allowed = Math.min(mostCount, Math.max(allowed, 2 * asked));
      else if (deliveries.length < allowed / 8) allowed = Math.max(firstCount, Math.floor(allowed / 2));
    },
  };
}
