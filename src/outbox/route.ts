import type { Partition } from '../broker/broker.ts';
import type { LanesConfig } from '../config/config.ts';
import { isPartitionKey, laneOf, partitionOf, partitionsOf } from '../message/stream-name.ts';
import type { Failure } from '../runtime/failure.ts';
import type { OutboxRow } from './outbox.ts';

/** Where rows of one broker go beside their categories. External brokers have neither lanes nor partitions. */
export interface Routing {
  readonly lanes: LanesConfig | null;
  /** Categories that some handler reads by partition. */
  readonly partitioned: ReadonlySet<string>;
}

export type Route =
  | { readonly kind: 'to'; readonly stream: string; readonly partition?: Partition }
  /** No stream can have that name, and no other is read by those who wait for the row. */
  | { readonly kind: 'nowhere'; readonly failure: Failure };

const reservedSuffix = 'backfill';

/**
 * The stream that a row goes to: its category, or the partition of its key where partitions are read; of either, the
 * backfill lane for rows below the lanes' threshold.
 */
export function route(row: OutboxRow, { lanes, partitioned }: Routing): Route {
  const { category, partitionKey, priority } = row;
  const inLane = (stream: string) =>
    lanes !== null && priority < lanes.threshold ? laneOf(stream, lanes.suffix) : stream;
  if (partitionKey === null || !partitioned.has(category)) return { kind: 'to', stream: inLane(category) };
  if (!isPartitionKey(partitionKey, lanes?.suffix ?? reservedSuffix)) return { kind: 'nowhere', failure: noPartition };
  const partition = { index: partitionsOf(category), key: partitionKey };
  return { kind: 'to', stream: inLane(partitionOf(category, partitionKey)), partition };
}

const noPartition: Failure = {
  type: 'InvalidPartitionKey',
  code: 'invalid_partition_key',
  message: 'its partition key cannot be part of a stream: 1 to 255 characters, no colon, brace or reserved word',
  stack: null,
};
