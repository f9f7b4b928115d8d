import type { ManualClock as Clock } from '../../src/runtime/manual-clock.ts';
import { createManualClock as create } from '../../src/runtime/manual-clock.ts';

export type ManualClock = Clock;
export const createManualClock = create;
