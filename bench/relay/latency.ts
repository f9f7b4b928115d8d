import { setTimeout as delay } from 'node:timers/promises';
import { arrivals } from '../harness/arrivals.ts';
import type { Bench } from '../harness/bench.ts';
import { startDaemon } from '../harness/daemon.ts';
import { aggregates, category, payload, stream } from '../harness/messages.ts';
import { atMost, msText, quantile } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';

const perSecond = 100;

/** From the end of the commit, as its writer sees it, to the entry on the stream, as a waiting reader sees it. */
export const latency: Bench = {
  name: 'latency',
  async run(place) {
    const { options, redis } = place;
    await redis.flushall();
    const daemon = await startDaemon(place, { only: 'relay', handlers: null });
    try {
      await raise(place, 0);
      const reader = readArrivals(place);
      await Promise.race([reader.first, daemon.broke]);
      const committed = new Map<number, number>();
      const seconds = options.quick ? 3 : 30;
      const count = await arrivals(perSecond, seconds, async (n) => {
        await raise(place, n);
        committed.set(n, performance.now());
      });
      await Promise.race([reader.reached(count + 1), daemon.broke]);
      await reader.stop();
      const delays = [...committed].map(([n, at]) => Math.max(0, (reader.seen.get(n) ?? Number.NaN) - at));
      const detail = `${count} messages, ${perSecond} a second; longest ${msText(Math.max(...delays))}`;
      const about = { bench: 'relay latency', detail };
      return [
        atMost(5, quantile(delays, 0.5), msText, { ...about, what: 'commit → stream, p50' }),
        atMost(15, quantile(delays, 0.99), msText, { ...about, what: 'commit → stream, p99' }),
      ];
    } finally {
      await daemon.stop();
    }
  },
};

const raise = ({ sql }: Place, n: number) =>
  sql`select outbox_raise_event('OrderPlaced', ${category}, ${`ord-${n % aggregates}`}, ${payload(n)}::text::json)`;

/** When each message was first seen, by this process's clock. */
function readArrivals({ redis }: Place) {
  const connection = redis.duplicate();
  const seen = new Map<number, number>();
  let wanted = 1;
  let stopped = false;
  let wake: () => void = () => undefined;
  const reached = (count: number) => {
    wanted = count;
    return new Promise<void>((resolve) => {
      wake = resolve;
      if (seen.size >= wanted) resolve();
    });
  };
  const first = reached(1);
  const reading = (async () => {
    let after = '0';
    while (!stopped) {
      const reply = await connection.xread('COUNT', 100, 'BLOCK', 200, 'STREAMS', stream, after);
      const at = performance.now();
      for (const [id, fields] of reply?.[0]?.[1] ?? []) {
        after = id;
        seen.set(JSON.parse(fields[1] ?? '').data.n, at);
      }
      if (seen.size >= wanted) wake();
    }
  })();
  return {
    seen,
    first,
    reached,
    async stop() {
      stopped = true;
      await reading;
      connection.disconnect();
    },
  };
}

/** What a relay costs that has nothing to do. */
export const idle: Bench = {
  name: 'idle',
  async run(place) {
    const { options, sql } = place;
    const daemon = await startDaemon(place, { only: 'relay', handlers: null });
    try {
      // V8 tidies its heap once, some twenty seconds after a start that was followed by nothing.
      await Promise.race([delay(options.quick ? 3_000 : 35_000), daemon.broke]);
      const seconds = options.quick ? 5 : 30;
      const [cpu, transactions] = [cpuSeconds(daemon.pid), await transactionsOf(sql)];
      await Promise.race([delay(seconds * 1_000), daemon.broke]);
      const share = (100 * (cpuSeconds(daemon.pid) - cpu)) / seconds;
      // Statistics come with a delay of up to a second; the one question more is our own.
      const rate = ((await transactionsOf(sql)) - transactions - 1) / seconds;
      const about = { bench: 'relay idle', detail: `over ${seconds} s` };
      return [
        atMost(1, share, (value) => `${value.toFixed(2)} %`, { ...about, what: 'CPU of the daemon, of one core' }),
        atMost(25, rate, (value) => `${value.toFixed(1)}/s`, { ...about, what: 'queries' }),
      ];
    } finally {
      await daemon.stop();
    }
  },
};

async function transactionsOf(sql: Place['sql']): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select (xact_commit + xact_rollback)::float8 as count from pg_stat_database where datname = current_database()`;
  return row?.count ?? 0;
}
