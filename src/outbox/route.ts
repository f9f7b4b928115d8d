import type { Partition } from '../broker/broker.ts';
import type { LanesConfig } from '../config/config.ts';
import { isPartitionKey, isStreamName, laneOf, partitionOf, partitionsOf } from '../message/stream-name.ts';
import type { Failure } from '../runtime/failure.ts';
import type { OutboxRow } from './outbox.ts';

/** Where rows of one broker go beside their categories. External brokers have neither lanes nor partitions. */
export interface Routing {
  readonly lanes: LanesConfig | null;
  /** Categories that are read by partition, each with the field of the payload that names the partition of a row that does not. */
  readonly partitioned: ReadonlyMap<string, string>;
}

export type Route =
  | { readonly kind: 'to'; readonly stream: string; readonly partition?: Partition }
  /** No stream can have that name, and no other is read by those who wait for the row. */
  | { readonly kind: 'nowhere'; readonly failure: Failure };

const reservedSuffix = 'backfill';

/**
 * The stream that a row goes to: its category, or the partition of its key where partitions are read; of either, the
 * backfill lane for rows below the lanes' threshold. A row without a key goes to its category.
 */
export function route(row: OutboxRow, { lanes, partitioned }: Routing): Route {
  const { category, priority } = row;
  if (!isStreamName(category)) return { kind: 'nowhere', failure: noStream };
  const inLane = (stream: string) =>
    lanes !== null && priority < lanes.threshold ? laneOf(stream, lanes.suffix) : stream;
  const field = partitioned.get(category);
  const key = field === undefined ? null : (row.partitionKey ?? keyIn(row.dataText, field));
  if (key === null) return { kind: 'to', stream: inLane(category) };
  if (!isPartitionKey(key, lanes?.suffix ?? reservedSuffix)) return { kind: 'nowhere', failure: noPartition };
  const partition = { index: partitionsOf(category), key };
  return { kind: 'to', stream: inLane(partitionOf(category, key)), partition };
}

/** The field's value as a key; null where there is none, so that no order is asked for. What is no text or number names none. */
function keyIn(dataText: string, field: string): string | null {
  const data: unknown = JSON.parse(dataText);
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, field)) return null;
  const value: unknown = Object.entries(data).find(([name]) => name === field)?.[1];
  if (value === null) return null;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

const noStream: Failure = {
  type: 'InvalidStream',
  code: 'invalid_stream',
  message: 'its category cannot be the name of a stream: 1 to 255 characters, no space, brace or control character',
  stack: null,
};

const noPartition: Failure = {
  type: 'InvalidPartitionKey',
  code: 'invalid_partition_key',
  message: 'its partition key cannot be part of a stream: 1 to 255 characters, no colon, brace or reserved word',
  stack: null,
};
