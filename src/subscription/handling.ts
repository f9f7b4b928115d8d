import type { Delivery, Settlement } from '../broker/broker.ts';
import type { Gate } from './gate.ts';
import type { Held } from './in-hand.ts';

/** From a delivery in hand to its settlement: handle, decide, settle, tell. */
export interface Handling {
  gate(): Gate;
  /** Whether a delivery may go to its handler although the gate is `halted`. */
  admits(held: Held): boolean;
  /** Hands a delivery to its handler, behind those of the same aggregate. */
  take(held: Held): void;
  /** The same for one that runs by itself: resolves when its handler has ended. */
  runAlone(held: Held): Promise<void>;
  /** Gives a delivery up without running its handler. */
  giveUp(held: Held, error: Error): void;
  /** The broker has made these settlements so, but for those that another consumer owns by now. */
  settled(settlements: readonly Settlement[], disowned: readonly Delivery[]): void;
  disown(held: Held): void;
  /** Says that this delivery's consumer died with it in hand. */
  suspect(held: Held): void;
  /** Gives back what waits for a retry and what has not begun. */
  giveBackWaiting(): void;
  /** Resolves when no handler runs. */
  idle(): Promise<void>;
}
