import type { Broker, Outgoing, PublishResult } from '../broker/broker.ts';
import type { OutboxConfig } from '../config/config.ts';
import { composeBody } from '../message/codec.ts';
import { backoff } from '../runtime/backoff.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { NotOwnedError } from '../runtime/errors.ts';
import type { Grant } from '../runtime/lease.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Emit } from '../telemetry/event.ts';
import type { Outbox, OutboxRow, Refusal } from './outbox.ts';
import type { Routing } from './route.ts';
import { route } from './route.ts';

export interface RelayDeps {
  readonly database: string;
  readonly outbox: Outbox;
  readonly broker: Broker;
  readonly routing: Routing;
  /** Waits between polls of an empty outbox: for `ms`, or until there is a sign of new rows. */
  readonly rest: (ms: Millis, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly loop: LoopOptions;
}

/**
 * Polls of an outbox that has just run empty: after 2 and 4 ms, then each 8 ms, for as long as the next message of a busy
 * writer may be near; then after 64 ms, which is worth a hint (see hint.ts), and each further one after twice the rest.
 */
const shortRestsMs = [2, 4, 8, 8, 8, 8, 8, 8, 8];
const longRestMs = 64;
const steps = 16;
const idleMs = (emptyPolls: number): Millis =>
  shortRestsMs[emptyPolls] ?? longRestMs * 2 ** (Math.min(emptyPolls, steps) - shortRestsMs.length);

const settled: Promise<void> = Promise.resolve();
const nothing: Promise<readonly OutboxRow[]> = Promise.resolve([]);

/** A promise whose failure waits until somebody looks. */
function started<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

interface RefusedRow extends Refusal {
  readonly row: OutboxRow;
}

/** What is left to be written down of a batch after its publication. */
interface Marks {
  readonly published: readonly OutboxRow[];
  readonly refused: readonly RefusedRow[];
}

/**
 * Carries the rows of one shard to the broker while its lease is held:
 *
 *   read n+1 ─┐                       two batches are in hand at a time: while batch n is published,
 *   publish n ┴▶ mark n ─┐            batch n+1 is read; while n is marked, n+1 is published.
 *                publish n+1 …        Publications never overlap, so the order of each stream is kept.
 *
 * At least once: a row is marked only after its publication was confirmed, so a crash in between publishes it again.
 * Nothing is counted against a row when the broker is unreachable: `publish` throws, the loop rests, the rows stay.
 */
export function createRelay(config: OutboxConfig, deps: RelayDeps): (grant: Grant, soft: AbortSignal) => Promise<void> {
  const { batchSize, pollEveryMs, maxPollEveryMs, ordering, retry, publishWait } = config;
  const { database, outbox, broker, routing, rest, clock, random, emit } = deps;
  const about = { database, broker: broker.name };

  return async function relayWhile(grant, soft) {
    const stop = AbortSignal.any([grant.signal, soft]);
    const inFlight = new Set<string>();
    let emptyPolls = 0;
    let marking = settled;
    /** Why marks came to nothing that nobody has waited for yet. */
    let lost = null as Error | null;
    const lose = (error: Error) => {
      lost = error;
      throw error;
    };

    /**
     * Reads and publishes until a read comes back short; rests when there was nothing at all. The last marks may still be
     * under way at its end: a commit that waits for the disk is no reason to leave new rows waiting.
     */
    async function sweep(): Promise<Millis> {
      let carried = 0;
      let next = nothing;
      try {
        if (lost !== null) throw lost;
        next = started(read());
        for (;;) {
          const rows = await next;
          carried += rows.length;
          if (rows.length === 0) break;
          if (stop.aborted) {
            await forget(next);
            break;
          }
          const full = rows.length >= batchSize;
          if (full) next = started(read());
          const marks = await publish(rows);
          await marking;
          marking = started(mark(marks).catch(lose));
          if (marks.refused.length > 0) {
            // What was read meanwhile may hold rows that belong behind a refused one: it is read anew.
            await marking;
            await forget(next);
            break;
          }
          if (!full) break;
        }
      } catch (error) {
        await forget(next);
        throw error;
      }
      if (carried > 0) {
        emptyPolls = 0;
        return 0;
      }
      await rest(Math.min(idleMs(emptyPolls), emptyPolls < steps ? pollEveryMs : maxPollEveryMs), stop);
      emptyPolls += 1;
      return 0;
    }

    /** Once nothing is under way any more, everything that is not marked may be read again. */
    async function forget(next: Promise<unknown>): Promise<void> {
      await Promise.allSettled([marking, next]);
      marking = settled;
      lost = null;
      inFlight.clear();
    }

    async function read(): Promise<readonly OutboxRow[]> {
      const rows = await outbox.read({ limit: batchSize, inFlight: [...inFlight] });
      for (const row of rows) inFlight.add(row.id);
      return rows;
    }

    async function publish(rows: readonly OutboxRow[]): Promise<Marks> {
      if (!grant.trusted()) throw new NotOwnedError('the lease of this shard has run out');
      const startedAt = clock.monotonic();
      const sent: OutboxRow[] = [];
      const entries: Outgoing[] = [];
      const stranded: RefusedRow[] = [];
      for (const row of rows) {
        const to = route(row, routing);
        if (to.kind === 'nowhere') {
          stranded.push({ row, id: row.id, failure: to.failure, retryInMs: null });
          continue;
        }
        const body = composeBody(row.dataText, row.metadataText);
        const key = ordering === 'stream' ? row.stream : null;
        const { stream, partition } = to;
        sent.push(row);
        entries.push(partition === undefined ? { stream, body, key } : { stream, body, key, partition });
      }
      const results = await broker.publish(entries, publishWait);
      emit({
        event: 'outbox.batch_published',
        ...about,
        count: sent.length,
        duration_ms: clock.monotonic() - startedAt,
      });
      const { published, refused } = sort(sent, results);
      return { published, refused: [...stranded, ...refused] };
    }

    function sort(rows: readonly OutboxRow[], results: readonly PublishResult[]): Marks {
      const published: OutboxRow[] = [];
      const refused: RefusedRow[] = [];
      for (const [index, row] of rows.entries()) {
        const result = results[index];
        if (result?.kind === 'confirmed') published.push(row);
        else if (result?.kind === 'refused') {
          const retryInMs = row.attempt >= retry.maxAttempts ? null : backoff(retry.backoff, row.attempt, random);
          refused.push({ row, id: row.id, failure: result.failure, retryInMs });
        }
      }
      return { published, refused };
    }

    async function mark({ published, refused }: Marks): Promise<void> {
      if (published.length > 0) {
        await outbox.published(published.map(({ id }) => id));
        for (const row of published) {
          inFlight.delete(row.id);
          report(row);
        }
      }
      if (refused.length > 0) {
        await outbox.refused(refused, grant.token);
        for (const refusal of refused) reportRefused(refusal);
      }
    }

    const report = ({ messageId, category, ageMs }: OutboxRow) =>
      emit({ event: 'outbox.row_published', ...about, stream: category, message_id: messageId, lag_ms: ageMs });

    function reportRefused({ row, failure, retryInMs }: RefusedRow): void {
      const reason = failure.code ?? failure.type;
      const facts = { ...about, stream: row.category, message_id: row.messageId, attempt: row.attempt, reason };
      if (retryInMs === null) emit({ event: 'outbox.row_abandoned', ...facts });
      else emit({ event: 'outbox.row_refused', ...facts, retry_in_ms: retryInMs });
    }

    await loop(sweep, stop, deps.loop);
    await Promise.allSettled([marking]);
    // Where there are hints: whoever relays this shard next is the one to be woken.
    await rest(0, stop);
  };
}
