import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { arrivals } from '../harness/arrivals.ts';
import type { Bench } from '../harness/bench.ts';
import { acknowledged } from '../harness/counts.ts';
import { startDaemon } from '../harness/daemon.ts';
import { aggregates, category, entry, payload, stream } from '../harness/messages.ts';
import type { Outcome } from '../harness/outcome.ts';
import { atMost, msText, quantile } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import { group } from './consumer-runs.ts';

const perSecond = 100;
const secondsOf = ({ options }: Place) => (options.quick ? 3 : 30);
/** Messages that go first, unmeasured: code is compiled, connections are made. */
const warmUp = 300;

/** From the sending of the XADD to the first line of the handler. */
export const latency: Bench = {
  name: 'latency',
  async run(place) {
    const { redis, folder } = place;
    await emptyStream(place);
    const file = join(folder, 'begun');
    const environment = { BENCH_TIMES: file };
    const daemon = await startDaemon(place, { only: 'subscriptions', handlers: 'clock.js', environment });
    const sent = new Map<number, bigint>();
    const send = async (n: number) => {
      sent.set(n, process.hrtime.bigint());
      await redis.xadd(stream, '*', 'data', entry(n));
    };
    try {
      await arrivals(perSecond, warmUp / perSecond, (n) => redis.xadd(stream, '*', 'data', entry(-n)));
      await arrivals(perSecond, secondsOf(place), send);
      await Promise.race([drained(place), daemon.broke]);
    } finally {
      await daemon.stop();
    }
    const begun = new Map((await readFile(file, 'utf8')).split('\n').map((line) => pair(line.split(' '))));
    const delays = [...sent].map(([n, at]) => Math.max(0, Number((begun.get(n) ?? 0n) - at) / 1_000_000));
    return quantiles('consumer latency', 'stream → handler', delays, 2, 10);
  },
};

const pair = ([n, ns]: readonly string[]): [number, bigint] => [Number(n), BigInt(ns ?? 0)];

/** From commit to commit, both by the database: an event is raised, relayed, handled, and the handler's row is there. */
export const endToEnd: Bench = {
  name: 'end-to-end',
  async run(place) {
    const { sql } = place;
    await emptyStream(place);
    await sql`create table if not exists effect (n integer not null)`;
    await sql`create table if not exists sent (n integer not null)`;
    const daemon = await startDaemon(place, { only: null, handlers: 'one-row.js', poolSize: 13 });
    const raise = (n: number) =>
      sql.begin(async (tx) => {
        await tx`insert into sent (n) values (${n})`;
        await tx`select outbox_raise_event('OrderPlaced', ${category}, ${`ord-${Math.abs(n) % aggregates}`}, ${payload(n)}::text::json)`;
      });
    try {
      await arrivals(perSecond, warmUp / perSecond, (n) => raise(-n));
      await arrivals(perSecond, secondsOf(place), raise);
      await Promise.race([allHandled(place), daemon.broke]);
    } finally {
      await daemon.stop();
    }
    const rows = await sql<{ ms: number }[]>`
      select (extract(epoch from pg_xact_commit_timestamp(effect.xmin) - pg_xact_commit_timestamp(sent.xmin)) * 1000)::float8
        as ms
      from sent join effect using (n) where n > 0`;
    const delays = rows.map(({ ms }) => ms);
    return quantiles('consumer end to end', 'commit → handler’s commit', delays, null, 25);
  },
};

function quantiles(
  bench: string,
  what: string,
  delays: readonly number[],
  p50: number | null,
  p99: number,
): readonly Outcome[] {
  const detail = `${delays.length} messages, ${perSecond} a second; longest ${msText(Math.max(...delays))}`;
  const middle = quantile(delays, 0.5);
  const half = { bench, what: `${what}, p50`, detail };
  return [
    p50 === null ? { ...half, figure: msText(middle), target: '', met: null } : atMost(p50, middle, msText, half),
    atMost(p99, quantile(delays, 0.99), msText, { bench, what: `${what}, p99`, detail }),
  ];
}

async function emptyStream({ redis }: Place): Promise<void> {
  await redis.flushall();
  await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
}

async function drained({ redis }: Place): Promise<void> {
  while ((await acknowledged(redis, stream, group)) < (await redis.xlen(stream))) await delay(50);
}

async function allHandled({ sql }: Place): Promise<void> {
  for (;;) {
    const [row] = await sql`select (select count(*) from sent) = (select count(*) from effect) as all`;
    if (row?.['all'] === true) return;
    await delay(50);
  }
}
