import type { DomainConfig } from '../config/config.ts';
import type { Composed, NewMessage } from '../message/compose.ts';
import { compose, externalMetadata, isoTime } from '../message/compose.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import type { Failure } from '../runtime/failure.ts';
import type { Emit } from '../telemetry/event.ts';
import { createMemoryLeases } from './memory-lease.ts';
import type { Outbox, OutboxRow, OutboxStore } from './outbox.ts';
import type { Candidate } from './pick.ts';
import { pick } from './pick.ts';
import { tooLarge } from './too-large.ts';

interface StoredRow {
  readonly id: number;
  readonly message: NewMessage;
  readonly composed: Composed;
  readonly metadataText: string;
  readonly target: string | null;
  /** Monotonic, as all times here. */
  readonly createdAt: Millis;
  readonly deliverAt: Millis;
  readonly scheduled: boolean;
  status: 'pending' | 'failed' | 'abandoned';
  refusals: number;
  retryAt: Millis;
  abandonedAt: Millis;
  lastError: Failure | null;
}

export interface MemoryOutbox extends OutboxStore {
  /** Writes messages as one transaction would; their ids, in order. */
  add(messages: readonly NewMessage[]): readonly string[];
}

export interface MemoryOutboxConfig {
  readonly database: string;
  readonly domain: DomainConfig;
  readonly ordering: 'stream' | 'none';
  readonly maxMessageBytes: number;
  readonly shards?: number;
  /** Brokers that messages with `published` go to as well. */
  readonly externalBrokers?: readonly string[];
}

export interface MemoryOutboxDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  /** Called with what was written. */
  readonly onAdded: (messages: readonly NewMessage[]) => void;
}

/** An outbox inside the process: rows are due, held back, refused and abandoned by the same rules as in PostgreSQL. */
export function createMemoryOutbox(config: MemoryOutboxConfig, deps: MemoryOutboxDeps): MemoryOutbox {
  const { database, domain, ordering, maxMessageBytes, shards = 1, externalBrokers = [] } = config;
  const { clock, random, emit, onAdded } = deps;
  const leases = createMemoryLeases(clock);
  /** In the order of their ids. Published ones are let go of: there is nobody to publish them again for. */
  const rows = new Map<number, StoredRow>();
  let lastId = 0;

  function store(message: NewMessage): string {
    lastId += 1;
    const composed = compose(message, {
      normalized: domain.normalized,
      camel: domain.camel,
      time: isoTime(clock.now()),
      uuid: uuidVersion8(random),
      // Beyond what a number holds exactly.
      sequence: String(BigInt(Math.floor(clock.now())) * 1_000_000n + BigInt(lastId % 1_000_000)),
    });
    keep(message, composed, null, JSON.stringify(composed.metadata));
    if (message.options['published'] === true) {
      const metadataText = JSON.stringify(externalMetadata(composed.metadata));
      for (const broker of externalBrokers) {
        lastId += 1;
        keep(message, composed, broker, metadataText);
      }
    }
    return composed.messageId;
  }

  function keep(message: NewMessage, composed: Composed, target: string | null, metadataText: string): void {
    const { deliver_at: deliverAt } = message.options;
    const waitMs = typeof deliverAt === 'string' ? Math.max(0, Date.parse(deliverAt) - clock.now()) : 0;
    const now = clock.monotonic();
    const scheduled = typeof deliverAt === 'string';
    const times = { createdAt: now, deliverAt: now + waitMs, scheduled, retryAt: 0, abandonedAt: 0 };
    const row = { id: lastId, message, composed, metadataText, target, ...times };
    rows.set(lastId, { ...row, status: 'pending', refusals: 0, lastError: null });
  }

  const unpublished = (target: string | null) =>
    [...rows.values()].filter((row) => row.target === target && (row.status === 'pending' || row.status === 'failed'));

  function dueRows(index: number, count: number, target: string | null, inFlight: ReadonlySet<string>): StoredRow[] {
    const now = clock.monotonic();
    const held = new Set<string>();
    return unpublished(target).filter((row) => {
      const { stream } = row.composed;
      if (bucketOf(stream) % count !== index || held.has(stream)) return false;
      if (row.status === 'failed' && ordering === 'stream') held.add(stream);
      const due = row.deliverAt <= now && row.retryAt <= now;
      return due && !inFlight.has(String(row.id));
    });
  }

  function abandon(row: StoredRow, error: Failure): void {
    row.refusals += 1;
    Object.assign(row, { status: 'abandoned', lastError: error, abandonedAt: clock.monotonic() });
  }

  function shard(index: number, count: number, target: string | null, lease: string): Outbox {
    return {
      async read({ limit, inFlight }) {
        const due = pick(dueRows(index, count, target, new Set(inFlight)).map(toCandidate), {
          limit,
          maxBytes: Number.POSITIVE_INFINITY,
          ordering,
          mayFollow: () => false,
        }).map(({ row }) => row);
        const [large, fit] = [due.filter(isTooLarge), due.filter((row) => !isTooLarge(row))];
        for (const row of large) {
          abandon(row, tooLarge(sizeOf(row), maxMessageBytes));
          const { category: stream, messageId: message_id } = row.composed;
          const about = { database, broker: target ?? 'default', stream, message_id, attempt: row.refusals };
          emit({ event: 'outbox.row_abandoned', ...about, reason: 'too_large' });
        }
        return fit.map((row) => toOutboxRow(row, clock.monotonic()));
      },
      async published(ids) {
        for (const id of ids) rows.delete(Number(id));
      },
      async refused(refusals, fence) {
        if (!leases.holds(lease, fence)) return;
        for (const { id, failure, retryInMs } of refusals) {
          const row = rows.get(Number(id));
          if (row === undefined) continue;
          if (retryInMs === null) {
            abandon(row, failure);
            continue;
          }
          row.refusals += 1;
          Object.assign(row, { status: 'failed', retryAt: clock.monotonic() + retryInMs, lastError: failure });
        }
      },
    };
  }

  const isTooLarge = (row: StoredRow): boolean => sizeOf(row) > maxMessageBytes;

  return {
    database,
    leases,
    shards: async () => shards,
    shard,
    add(messages) {
      const ids = messages.map(store);
      onAdded(messages);
      return ids;
    },
    async stats(target) {
      const waiting = unpublished(target);
      const oldest = waiting.reduce<Millis | null>((at, row) => Math.min(at ?? row.createdAt, row.createdAt), null);
      return {
        pending: waiting.filter(({ status }) => status === 'pending').length,
        failed: waiting.filter(({ status }) => status === 'failed').length,
        abandoned: [...rows.values()].filter((row) => row.target === target && row.status === 'abandoned').length,
        oldestPendingMs: oldest === null ? null : clock.monotonic() - oldest,
      };
    },
    async purge(_publishedMs, abandonedMs, limit) {
      const before = clock.monotonic() - abandonedMs;
      const old = [...rows.values()].filter(
        ({ status, abandonedAt }) => status === 'abandoned' && abandonedAt < before,
      );
      for (const { id } of old.slice(0, limit)) rows.delete(id);
      return Math.min(old.length, limit);
    },
  };
}

const toCandidate = (row: StoredRow): Candidate & { readonly row: StoredRow } => ({
  row,
  id: String(row.id),
  stream: row.composed.stream,
  priority: row.composed.metadata.domain.priority,
  apart: row.status === 'failed' || row.scheduled,
  bytes: sizeOf(row),
});

const sizeOf = ({ message, metadataText }: StoredRow): number =>
  Buffer.byteLength(message.dataText) + Buffer.byteLength(metadataText);

const toOutboxRow = (
  { id, message, composed, metadataText, target, refusals, createdAt }: StoredRow,
  now: Millis,
): OutboxRow => ({
  id: String(id),
  messageId: composed.messageId,
  stream: composed.stream,
  category: composed.category,
  kind: message.kind,
  dataText: message.dataText,
  metadataText,
  priority: composed.metadata.domain.priority,
  partitionKey: target === null ? partitionKeyOf(message) : null,
  attempt: refusals + 1,
  ageMs: now - createdAt,
});

function partitionKeyOf({ options }: NewMessage): string | null {
  const { partition_key: key } = options;
  return typeof key === 'string' ? key : null;
}

/** Any even spread will do: this outbox shares its shards with nobody. */
function bucketOf(stream: string): number {
  let hash = 0;
  for (let index = 0; index < stream.length; index += 1) hash = (hash * 31 + stream.charCodeAt(index)) % 1_048_573;
  return hash & 1_023;
}

function uuidVersion8(random: Random): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  hex[12] = '8';
  hex[16] = ((Math.floor(random() * 4) & 3) | 8).toString(16);
  return hex.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
