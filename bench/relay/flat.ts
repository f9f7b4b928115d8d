import type { Bench } from '../harness/bench.ts';
import { entriesAdded } from '../harness/counts.ts';
import { startDaemon } from '../harness/daemon.ts';
import { addRows, prepareRows, settle, stream } from '../harness/messages.ts';
import { median } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import type { Steady } from '../harness/steady-rate.ts';
import { middle, steadyRate } from '../harness/steady-rate.ts';
import { measureRelay } from './relay-runs.ts';

const target = 0.85;

/** Whether rows that were published long ago cost anything. */
export const flatPublished: Bench = {
  name: 'published',
  async run(place) {
    const { options, progress } = place;
    const rounds = Math.min(3, options.rounds);
    const [many, few] = options.quick ? [100_000, 1_000] : [5_000_000, 10_000];
    const ours = await withPublished(place, many);
    const rival = { ...(await withPublished(await place.onDatabase(), few)), target };
    return sideBySide('relay published', ours, [rival], rounds, progress);
  },
};

async function withPublished(place: Place, published: number): Promise<Contender> {
  const { sql, options, progress } = place;
  progress(`writing ${published} published rows`);
  await prepareRows(sql, options.rows);
  // Small ones: their number is what an index or a scan would feel.
  await sql`
    insert into outbox (message_id, stream_name, category, type, data, metadata, status, published_at)
    select n::text, 'old-' || (n % 1000), 'old', 'Bench.Old.v1', '{}', jsonb_build_object('headers',
      jsonb_build_object('id', n::text)), 'published', clock_timestamp()
    from generate_series(1, ${published}::int) n`;
  const [{ last } = { last: 0 }] = await sql<{ last: number }[]>`select max(id)::float8 as last from outbox`;
  const prepare = async () => {
    await sql`delete from outbox where id > ${last}`;
    await addRows(sql, options.rows);
    await settle(sql);
  };
  return {
    name: `${published.toLocaleString('en')} published`,
    measure: () =>
      measureRelay(place, options.rows, () => startDaemon(place, { only: 'relay', handlers: null }), prepare),
  };
}

/** Whether a long backlog is carried as fast as a short one. */
export const flatBacklog: Bench = {
  name: 'backlog',
  async run(place) {
    const { options, progress, sql } = place;
    const rounds = Math.min(3, options.rounds);
    const [long, short] = options.quick ? [50_000, 5_000] : [1_000_000, 10_000];
    progress(`writing ${long} rows`);
    await prepareRows(sql, long);
    const ours = {
      name: `backlog of ${long.toLocaleString('en')}`,
      measure: () => measureBursts(place, long, 1),
    };
    const rival = {
      name: `backlog of ${short.toLocaleString('en')}`,
      measure: () => measureBursts(place, short, bursts),
      target,
    };
    return sideBySide('relay backlog', ours, [rival], rounds, progress);
  },
};

/** A short backlog is carried before it can be measured well: so often it is made again. */
const bursts = 9;
/** Of a long one, no more than this is waited for. */
const longestWindow = 200_000;

/**
 * The daemon runs already, and has carried some rows, when all of the backlog comes at once, with the commit of one
 * transaction. The median of the bursts.
 */
async function measureBursts(place: Place, backlog: number, times: number): Promise<Steady> {
  const { sql, redis, options } = place;
  await redis.flushall();
  await sql`truncate outbox restart identity`;
  await settle(sql);
  const daemon = await startDaemon(place, { only: 'relay', handlers: null });
  try {
    const added = () => entriesAdded(redis, stream);
    const cpu = () => cpuSeconds(daemon.pid);
    const warmUp = options.quick ? 5_000 : 50_000;
    await addRows(sql, warmUp);
    await steadyRate({ from: 1, to: warmUp }, added, cpu, daemon.broke);
    const measured: Steady[] = [];
    let before = warmUp;
    for (let burst = 0; burst < times; burst += 1) {
      await addRows(sql, backlog);
      const window = middle(Math.min(backlog, longestWindow));
      const shifted = { from: before + window.from, to: before + window.to };
      measured.push(await steadyRate(shifted, added, cpu, daemon.broke));
      before += backlog;
      if (burst < times - 1) await steadyRate({ from: before, to: before }, added, cpu, daemon.broke);
    }
    return {
      perSecond: median(measured.map(({ perSecond }) => perSecond)),
      cpuUs: median(measured.map(({ cpuUs }) => cpuUs ?? 0)),
    };
  } finally {
    await daemon.stop();
  }
}
