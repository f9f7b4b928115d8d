import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../harness/bench.ts';
import { entriesAdded } from '../harness/counts.ts';
import { startDaemon } from '../harness/daemon.ts';
import { addRows, prepareRows, settle, stream } from '../harness/messages.ts';
import { atLeast, median, rateText } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';
import { middle, steadyRate } from '../harness/steady-rate.ts';

/** Rows of each of the commits that come all the time, and how often they come. */
const trickle = 500;
const trickleEveryMs = 500;
/** Rows that come at once, twice a minute, to see how fast the relay is by now. */
const burst = 30_000;
const bursts = 20;
const kept = 200_000;

/**
 * Whether a relay at work grows slow: ten minutes of rows that are written, published and, half a minute later, deleted,
 * on a server that is left to its own vacuuming. The last bursts against the first.
 */
export const churn: Bench = {
  name: 'churn',
  async run(place) {
    const { sql, redis, options, progress } = place;
    await redis.flushall();
    await prepareRows(sql, burst);
    await settle(sql);
    const daemon = await startDaemon(place, { only: 'relay', handlers: null, retentionHours: 0.01 });
    const ended = new AbortController();
    const trickling = tricklingInto(place, ended.signal);
    const rates: number[] = [];
    try {
      const [count, pauseMs] = options.quick ? [6, 1_000] : [bursts, 28_000];
      for (let round = 1; round <= count; round += 1) {
        const before = await added(place);
        await addRows(sql, burst);
        const { from, to } = middle(burst);
        const window = { from: before + from, to: before + to };
        const { perSecond } = await steadyRate(
          window,
          () => added(place),
          () => cpuSeconds(daemon.pid),
          daemon.broke,
        );
        rates.push(perSecond);
        progress(`relay churn ${round}/${count}: ${rateText(perSecond)}, ${await sizes(place)}`);
        await Promise.race([delay(pauseMs), daemon.broke]);
      }
    } finally {
      ended.abort();
      await trickling;
      await daemon.stop();
    }
    const part = Math.ceil(rates.length / 4);
    const [first, last] = [median(rates.slice(0, part)), median(rates.slice(-part))];
    const detail = `first ${rateText(first)} · last ${rateText(last)} · ${rates.length} bursts of ${burst.toLocaleString('en')}, ${(trickle * 1_000) / trickleEveryMs} a second between them`;
    return [atLeast(0.85, last / first, { bench: 'relay churn', what: 'last bursts / first bursts', detail })];
  },
};

/** Redis is kept small meanwhile: its memory is not what is measured. */
async function tricklingInto({ sql, redis }: Place, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await addRows(sql, trickle);
    await redis.xtrim(stream, 'MAXLEN', '~', kept);
    await delay(trickleEveryMs, undefined, { signal: ended }).catch(() => undefined);
  }
}

const added = ({ redis }: Place): Promise<number> => entriesAdded(redis, stream);

async function sizes({ sql }: Place): Promise<string> {
  const [row] = await sql<{ rows: number; dead: number; mb: number }[]>`
    select n_live_tup::float8 as rows, n_dead_tup::float8 as dead, pg_table_size('outbox')::float8 / 1e6 as mb
    from pg_stat_user_tables where relname = 'outbox'`;
  return row === undefined ? '' : `${row.rows} rows, ${row.dead} dead, ${Math.round(row.mb)} MB`;
}
