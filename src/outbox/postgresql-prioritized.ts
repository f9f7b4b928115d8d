import type { Fragment, Sql } from 'postgres';
import type { Database } from '../connection/database.ts';
import type { ReadRows } from './outbox.ts';
import type { Candidate } from './pick.ts';
import { pick } from './pick.ts';
import type { DueConfig, DuePlace } from './postgresql-due.ts';
import { among, failed, inShard, plain, prioritized, scheduled, storedBytes, targetOf } from './postgresql-due.ts';

interface FoundRow extends Candidate {
  /** `before`: the first with a priority of a stream that is among the others; of each stream at most `most`. */
  readonly kind: 'plain' | 'prioritized' | 'before' | 'apart';
  readonly most: number;
}

/** So many urgent rows are cleared at once, or as many as there are. */
const mostCleared = 5_000;
/** A look behind the window takes 2 ms for so many ids, a read about as long: it is made once in so many reads. */
const idsOfOneRead = 1_000;
const seldomest = 1_000;

/**
 * Chooses the ids of the next batch where rows have priorities. What it looks at is bounded by the size of the batch,
 * except that an urgent row may only overtake when no plain row of its stream stands before it, and plain rows have no
 * index by stream, which would cost every writer. Those beyond the window are looked through the seldomer the more they
 * are, and what was cleared once stays so: a row that is committed later comes later in the order of commits.
 */
export function createPrioritized(
  config: DueConfig,
  place: DuePlace,
  { database }: { readonly database: Database },
): (request: ReadRows) => Promise<readonly string[]> {
  const { ordering, maxBatchBytes } = config;
  let cleared: ReadonlySet<string> = new Set();
  let readsSinceLook = seldomest;

  return async function choose(request) {
    const { limit } = request;
    const found = await database.bounded((sql) =>
      withoutJit(sql, () => selectCandidates(sql, database.schema, request, config, place)),
    );
    const plainRows = found.filter(({ kind }) => kind === 'plain');
    // Where the window is not full, all plain rows are in it.
    const seenTo = plainRows.length < limit ? null : BigInt(plainRows.at(-1)?.id ?? 0);

    const candidates = [...new Map(found.map((row) => [row.id, row])).values()];
    const ends = endsOf(found);

    function choice() {
      let unclearedTo: bigint | null = null;
      const mayFollow = ({ id, stream, priority }: Candidate, rank: number): boolean => {
        const end = ends.get(stream);
        if (end !== undefined && BigInt(id) > end) return true;
        if (priority === 0 || seenTo === null || cleared.has(id) || BigInt(id) < seenTo) return false;
        if (rank > 0) unclearedTo = BigInt(id);
        return true;
      };
      const ids = pick(candidates, { limit, maxBytes: maxBatchBytes, ordering, mayFollow }).map(({ id }) => id);
      return { ids, unclearedTo: unclearedTo as bigint | null };
    }

    readsSinceLook += 1;
    const { ids, unclearedTo } = choice();
    if (unclearedTo === null || seenTo === null) return ids;
    const ease = Math.min(seldomest, 1 + Number((unclearedTo - seenTo) / BigInt(idsOfOneRead)));
    if (readsSinceLook < ease) return ids;
    readsSinceLook = 0;
    const clear = await database.bounded((sql) =>
      withoutJit(sql, () => selectClear(sql, database.schema, String(seenTo), place)),
    );
    cleared = new Set(clear.map(({ id }) => id));
    return choice().ids;
  };
}

/** Where the rows with a priority of a stream may go on beyond those that were found. */
function endsOf(found: readonly FoundRow[]): ReadonlyMap<string, bigint> {
  const ends = new Map<string, bigint>();
  const counts = new Map<string, number>();
  for (const { kind, stream, id, most } of found) {
    if (kind !== 'before') continue;
    const count = (counts.get(stream) ?? 0) + 1;
    counts.set(stream, count);
    if (count >= most) ends.set(stream, BigInt(id));
  }
  return ends;
}

/**
 * The planner takes these for dearer than they are, and would compile them, for a quarter of a second each. In one round
 * trip; after a failure COMMIT rolls back.
 */
async function withoutJit<T>(sql: Sql, statement: () => PromiseLike<T>): Promise<T> {
  const [begun, set, found, committed] = await Promise.allSettled([
    sql.unsafe('begin read only'),
    sql.unsafe('set local jit = off'),
    statement(),
    sql.unsafe('commit'),
  ]);
  for (const each of [begun, set, found, committed]) if (each.status === 'rejected') throw each.reason;
  return (found as PromiseFulfilledResult<Awaited<T>>).value;
}

/**
 * The oldest plain rows, the most urgent and the oldest of the others, what stands before those in their streams, and
 * what is due again: as many of each as a batch may have, by id.
 */
function selectCandidates(sql: Sql, schema: string, { limit, inFlight }: ReadRows, config: DueConfig, place: DuePlace) {
  const table = sql`${sql(schema)}.outbox`;
  const ours = among(sql, table, inFlight, config, place);
  const select = (kind: FoundRow['kind'], state: Fragment) => sql`
    select o.id, o.stream_name, o.priority, ${kind}::text as kind, ${storedBytes(sql)} as bytes
    from ${table} o where ${state} and ${ours}`;
  const before =
    config.ordering === 'none'
      ? sql``
      : sql`union all select b.*, most from streams cross join lateral (
          ${select('before', sql`${prioritized(sql)} and o.stream_name = streams.stream_name`)}
          order by o.id limit most) b`;
  return sql<FoundRow[]>`
    with first_ones as materialized (
      (${select('plain', plain(sql))} order by o.id limit ${limit})
      union all (${select('prioritized', prioritized(sql))}
        order by o.target_broker, o.priority desc, o.id limit ${limit})
      union all (${select('prioritized', prioritized(sql))} order by o.target_broker, o.id limit ${limit})
    ), streams as materialized (
      select stream_name, greatest(8, ${2 * limit}::integer / count(*) over ()) as most
      from first_ones group by stream_name
    )
    select id, stream_name as stream, priority, kind, kind = 'apart' as apart, bytes::float8 as bytes,
      most::float8 as most
    from (
      select *, 0 as most from first_ones
      ${before}
      union all (select *, 0 from (${select('apart', scheduled(sql))} order by o.id limit ${limit}) due)
      union all (select *, 0 from (${select('apart', failed(sql))} order by o.id limit ${limit}) again)
    ) candidates
    order by id`;
}

/** The urgent rows that no plain row of their stream stands before, beyond the window that ends at `seenTo`. */
function selectClear(sql: Sql, schema: string, seenTo: string, place: DuePlace) {
  const table = sql`${sql(schema)}.outbox`;
  const mine = sql`${targetOf(sql, 'o', place)} and ${inShard(sql, place)}`;
  return sql<{ readonly id: string }[]>`
    with urgent as materialized (
      select o.id, o.stream_name from ${table} o where ${prioritized(sql)} and o.priority > 0 and ${mine}
      order by o.target_broker, o.priority desc, o.id limit ${mostCleared}
    ), plain_before as materialized (
      select o.stream_name, min(o.id) as id
      from ${table} o join (select distinct stream_name from urgent) u on u.stream_name = o.stream_name
      where ${plain(sql)} and ${mine} and o.id > ${seenTo}::text::bigint and o.id < (select max(id) from urgent)
      group by o.stream_name
    )
    select u.id from urgent u left join plain_before p on p.stream_name = u.stream_name
    where p.id is null or p.id > u.id`;
}
