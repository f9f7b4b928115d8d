import type { Batch, OutboxAdmin, RowFacts } from '../outbox/outbox-admin.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Asked } from './outbox-asked.ts';
import { filterIn, idsIn, refuseSubjects, statusesIn, theOutbox } from './outbox-asked.ts';
import { rowOf } from './outbox-show.ts';
import { createProgress } from './progress.ts';
import { durationIn, instantIn } from './spans.ts';

/** Beyond so many, publishing again wants to be meant. */
const manyRows = 1_000;
const batchSize = 2_000;

/** `domaind outbox retry ID… | --all --status failed|abandoned`. */
export async function retryOutbox(asked: Asked): Promise<number> {
  const { given, outboxes, usage } = asked;
  if (!given.flag('all')) {
    return changed(asked, 'back to pending', await theOutbox(asked).retry(idsIn(asked)), 'is failed or abandoned');
  }
  refuseSubjects(asked);
  const statuses = statusesIn(asked, ['failed', 'abandoned']);
  if (statuses === null) throw new UsageError(`--all needs --status failed or abandoned\nusage: ${usage}`);
  const filter = filterIn(asked);
  const work = (outbox: OutboxAdmin) => async (done: (count: number) => void) => {
    for (const status of statuses) {
      await inBatches(asked, (after) => outbox.retryAll(status, filter, after, batchSize), done);
    }
  };
  return told(asked, 'retried', await countEach(asked, outboxes, 'retried', null, work));
}

/** `domaind outbox abandon ID…`. */
export async function abandonOutbox(asked: Asked): Promise<number> {
  return changed(asked, 'abandoned', await theOutbox(asked).abandon(idsIn(asked)), 'is pending or failed');
}

/** `domaind outbox replay --since TIME`: what was published is published again. */
export async function replayOutbox(asked: Asked): Promise<number> {
  const { given, outboxes, usage, io } = asked;
  refuseSubjects(asked);
  const since = given.text('since');
  if (since === null) throw new UsageError(`--since is needed\nusage: ${usage}`);
  const [from, to] = [instantIn(since, '--since'), given.text('until')];
  const end = to === null ? null : instantIn(to, '--until');
  const spans = new Map(
    await Promise.all(
      outboxes.map(async (outbox) => {
        const at = async (instant: typeof end) =>
          outbox.instant(
            instant === null ? null : instant.kind === 'ago' ? { agoMs: instant.ms } : { iso: instant.iso },
          );
        const span = { since: await at(from), until: await at(end), stream: given.text('stream') };
        return [outbox, { span, count: await outbox.countPublished(span) }] as const;
      }),
    ),
  );
  const total = [...spans.values()].reduce((sum, { count }) => sum + count, 0);
  if (given.flag('dry-run'))
    return told(asked, 'to replay', new Map([...spans].map(([outbox, { count }]) => [outbox, count])));
  if (total > manyRows && !given.flag('yes')) {
    io.err(`${total} rows would be published again: say --yes where that is meant`);
    return 1;
  }
  const work = (outbox: OutboxAdmin) => async (done: (count: number) => void) => {
    const span = spans.get(outbox)?.span;
    if (span === undefined) return;
    await inBatches(asked, (after) => outbox.replay(span, after, batchSize), done);
    if (asked.shutdown.soft.aborted) {
      io.err(`database "${outbox.database}": the rest with --since ${span.since} --until ${span.until}`);
    }
  };
  return told(asked, 'replayed', await countEach(asked, outboxes, 'replayed', total, work));
}

/** `domaind outbox purge --status published|abandoned --older-than DURATION`. */
export async function purgeOutbox(asked: Asked): Promise<number> {
  const { given, outboxes, usage, config } = asked;
  refuseSubjects(asked);
  const [status, ...more] = statusesIn(asked, ['published', 'abandoned']) ?? [];
  const olderThan = given.text('older-than');
  if (status === undefined || more.length > 0 || olderThan === null) {
    throw new UsageError(`--status published or abandoned, and --older-than, are needed\nusage: ${usage}`);
  }
  const agoMs = durationIn(olderThan, '--older-than');
  const limit = config.outbox?.cleanup.batchSize ?? batchSize;
  const work = (outbox: OutboxAdmin) => async (done: (count: number) => void) => {
    const before = await outbox.instant({ agoMs });
    await inBatches(asked, (after) => outbox.purge(status, before, after, limit), done);
  };
  return told(asked, 'purged', await countEach(asked, outboxes, 'purged', null, work));
}

type Work = (outbox: OutboxAdmin) => (done: (count: number) => void) => Promise<void>;

/** One after the other, with what is done so far on stderr; how many rows in each. */
async function countEach(
  { io }: Asked,
  outboxes: readonly OutboxAdmin[],
  verb: string,
  total: number | null,
  work: Work,
): Promise<ReadonlyMap<OutboxAdmin, number>> {
  const counts = new Map(outboxes.map((outbox) => [outbox, 0]));
  const progress = createProgress(verb, io);
  let all = 0;
  try {
    for (const outbox of outboxes) {
      await work(outbox)((count) => {
        counts.set(outbox, (counts.get(outbox) ?? 0) + count);
        all += count;
        progress.at(all, total);
      });
    }
  } finally {
    progress.end();
  }
  return counts;
}

/** Until the end of the table, or the soft stop: what is done by then stays so. */
async function inBatches(
  { shutdown }: Asked,
  step: (after: string) => Promise<Batch>,
  done: (count: number) => void,
): Promise<void> {
  for (let after = '0'; !shutdown.soft.aborted; ) {
    const { count, last } = await step(after);
    done(count);
    if (last === null) return;
    after = last;
  }
}

function told({ given, io, shutdown }: Asked, verb: string, counts: ReadonlyMap<OutboxAdmin, number>): number {
  if (given.flag('json')) {
    const key = verb.replace(' ', '_');
    io.out(JSON.stringify([...counts].map(([{ database }, count]) => ({ database, [key]: count }))));
  } else {
    for (const [{ database }, count] of counts) {
      io.out(`${counts.size > 1 ? `database "${database}": ` : ''}${count} row${count === 1 ? '' : 's'} ${verb}`);
    }
  }
  if (!shutdown.soft.aborted) return 0;
  io.err('stopped before the end; the same command goes on');
  return 1;
}

/** The rows that an operator named; those that could not be changed are said one by one. */
function changed({ given, io, subjects }: Asked, what: string, rows: readonly RowFacts[], condition: string): number {
  if (given.flag('json')) io.out(JSON.stringify(rows.map(rowOf), null, 2));
  else for (const { id, messageId } of rows) io.out(`row ${id}, message ${messageId}: ${what}`);
  const left = subjects.filter((id) => !rows.some((row) => row.id === id || row.messageId === id));
  for (const id of left) io.err(`no row ${id} ${condition}`);
  return left.length === 0 ? 0 : 1;
}
