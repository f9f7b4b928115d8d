import type { LanesConfig } from '../config/config.ts';
import { laneOf } from '../message/stream-name.ts';
import type { OutboxRow } from './outbox.ts';

/**
 * The stream that a row goes to: its category, or the backfill lane of it for rows below the lanes' threshold. External
 * brokers have no lanes.
 */
export function route(row: OutboxRow, lanes: LanesConfig | null): string {
  return lanes !== null && row.priority < lanes.threshold ? laneOf(row.category, lanes.suffix) : row.category;
}
