import type { Config } from '../config/config.ts';
import { openDatabase } from '../connection/postgresql.ts';
import { inboxOf, mostRows, rowsOf } from '../explain/postgresql-traces.ts';
import { redisTraces, searched } from '../explain/redis-traces.ts';
import type { InboxRow, Life, Moment, RowIn, Traces } from '../explain/timeline.ts';
import { livesIn } from '../explain/timeline.ts';
import { deadLettersOf, laneOf, replayOf } from '../message/stream-name.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { PlanRow } from '../worker/plan.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { facts } from './listing.ts';
import { loadPlan } from './load-plan.ts';
import { wrappedTable } from './wrapped-table.ts';

const usage = 'domaind explain ID [--config FILE] [--env NAME] [--json]';

/** `domaind explain`: the life of a message over PostgreSQL and Redis. No daemon needs to run. */
export const explain: Command = {
  name: 'explain',
  summary: 'the life of a message: row, entry, groups, attempts, dead letter, effects',
  help: `usage: ${usage}

  ID               of a message, an entry (1732371234567-0) or a row of the outbox; the stream of an aggregate
                   (bookshelf::order-42); a correlation id; an idempotency key
  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --json           for machines

Looks through the newest ${searched} entries of each stream; an entry's own id is found at once, however old. What
happened comes in the order of its time, what is still to come last. Exits with 1 where nothing is found.

example: domaind explain bookshelf::order-ord-1`,
  async run(argv, io) {
    const types = { config: 'string', env: 'string', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [id, ...more] = given.positionals;
    if (id === undefined || id === '' || more.length > 0) throw new UsageError(`one ID is needed\nusage: ${usage}`);
    const { config, plan } = await loadPlan(given, io);
    const lives = livesIn(await tracesOf(id, config, plan));
    if (given.flag('json')) io.out(JSON.stringify({ id, messages: lives.map(jsonOf) }, null, 2));
    else for (const [index, life] of lives.entries()) show(life, index, io);
    if (lives.length === 0) io.err(`nothing is known of ${id}: neither in an outbox or inbox, nor on a stream`);
    return lives.length === 0 ? 1 : 0;
  },
};

/** Rows first: they name the messages, which the streams and the inbox are then asked for. */
async function tracesOf(id: string, config: Config, plan: readonly PlanRow[]): Promise<Traces> {
  const kept = [...config.databases.values()].flatMap((each) => (each.provider === 'postgresql' ? [each] : []));
  const streaming = [...config.brokers.values()].flatMap((each) => (each.provider === 'redis' ? [each] : []));
  if (kept.length + streaming.length === 0) {
    throw new MisconfiguredError('in_memory', 'all stores live inside the daemon: its log tells the life of a message');
  }
  const databases = kept.map((each) => openDatabase(each, { notice: () => undefined }));
  try {
    const rows: RowIn[] = [];
    if (config.outbox !== null) for (const database of databases) rows.push(...(await rowsOf(database, id)));
    const ids = new Set([id, ...rows.map(({ messageId }) => messageId)]);
    const categories = rows.map(({ category }) => category);
    const found: Pick<Traces, 'entries' | 'deadLetters'>[] = [];
    for (const each of streaming) {
      const streams = streamsOf(config, plan, each.name, categories);
      const handlers = new Map(
        plan.map(({ handler, settings }) => [handler.group, { name: handler.name, backoff: settings.retry.backoff }]),
      );
      const deadLetters = [...new Set(streams.map(deadLettersOf))];
      const deps = { clock: systemClock, random: systemRandom };
      found.push(await redisTraces(each, { ids, streams, deadLetters, handlers }, deps));
    }
    const entries = found.flatMap((each) => each.entries);
    const messages = new Set([...entries, ...rows].flatMap(({ messageId }) => messageId ?? []));
    // An entry names its message, whose row was not asked for yet.
    const missing = [...messages].filter((each) => !ids.has(each)).slice(0, mostRows);
    if (config.outbox !== null) {
      for (const database of databases) for (const each of missing) rows.push(...(await rowsOf(database, each)));
    }
    const inbox: InboxRow[] = [];
    for (const database of databases) inbox.push(...(await inboxOf(database, [...messages, id])));
    return { rows, entries, deadLetters: found.flatMap((each) => each.deadLetters), inbox };
  } finally {
    await Promise.all(databases.map((each) => each.close()));
  }
}

/** What handlers read from a broker, with their replays, and where the rows go. */
function streamsOf(
  { server: { lanes } }: Config,
  plan: readonly PlanRow[],
  broker: string,
  categories: readonly string[],
): readonly string[] {
  const read = plan
    .filter(({ handler }) => handler.broker === broker)
    .flatMap(({ handler, streams }) => streams.flatMap((stream) => [stream, replayOf(stream, handler.group)]));
  const written = categories.flatMap((each) => (lanes === null ? [each] : [each, laneOf(each, lanes.suffix)]));
  return [...new Set([...read, ...written])];
}

function show({ messageId, type, stream, correlationId, moments }: Life, index: number, io: Io): void {
  if (index > 0) io.out('');
  facts(io, [
    ['message', messageId],
    ['type', type],
    ['stream', stream],
    ['correlation', correlationId],
  ]);
  const width = io.isTty ? io.width : Number.POSITIVE_INFINITY;
  const cells = moments.map(({ at, where, what }: Moment) => [at === null ? '-' : short(at), where, what]);
  io.out(`\n${wrappedTable(['TIME', 'WHERE', 'WHAT'], cells, width)}`);
}

/** To the millisecond, in UTC. */
const short = (iso: string): string => {
  const at = Date.parse(iso);
  return Number.isNaN(at) ? iso : new Date(at).toISOString();
};

const jsonOf = ({ messageId, type, stream, correlationId, moments }: Life) => ({
  message_id: messageId,
  type,
  stream,
  correlation_id: correlationId,
  timeline: moments,
});
