import type { Database } from '../connection/database.ts';
import type { Answer, Claim, Idempotency, KeyTimes } from './idempotency.ts';

interface Row {
  readonly claimed: boolean;
  readonly state: string | null;
  readonly answer: string | null;
}

/** Keys in the table `command_key`: claimed and settled in transactions of their own, by the database's clock. */
export function createPostgresqlIdempotency({ ttlMs, errorTtlMs }: KeyTimes, database: Database): Idempotency {
  const ms = (value: number) => `${value} milliseconds`;
  return {
    async claim(key, owner, again) {
      const [row] = await database.bounded((sql) => {
        const table = sql`${sql(database.schema)}.command_key`;
        return sql<Row[]>`
          with claim as (
            insert into ${table} as held (key, owner, state, expires_at)
            values (${key}, ${owner}, 'held', clock_timestamp() + ${ms(ttlMs)}::interval)
            on conflict (key) do update set
              owner = excluded.owner, state = 'held', answer = null, expires_at = excluded.expires_at
            where held.expires_at <= clock_timestamp()
              or (held.owner = excluded.owner and held.state <> 'done')
              or (held.state = 'failed' and ${again}::boolean)
            returning true
          )
          select exists (select from claim) as claimed, found.state, found.answer
          from (select) as one left join ${table} as found on found.key = ${key}`;
      });
      return row === undefined ? { kind: 'held' } : claimIn(row);
    },
    async settle(key, owner, answer) {
      const keptMs = answer.kind === 'done' ? ttlMs : errorTtlMs;
      await database.bounded(
        (sql) => sql`
          update ${sql(database.schema)}.command_key set
            state = ${answer.kind}, answer = ${answer.text}, expires_at = clock_timestamp() + ${ms(keptMs)}::interval
          where key = ${key} and owner = ${owner}`,
      );
    },
    async purge(limit) {
      const deleted = await database.bounded((sql) => {
        const table = sql`${sql(database.schema)}.command_key`;
        return sql`
          with old as materialized (
            select key from ${table} where expires_at <= now() order by expires_at limit ${limit} for update skip locked
          )
          delete from ${table} k using old where k.key = old.key`;
      });
      return deleted.count;
    },
  };
}

/** A row that was written after the statement began is not seen by its second half: somebody else has just taken it. */
function claimIn({ claimed, state, answer: text }: Row): Claim {
  if (claimed) return { kind: 'claimed' };
  const answer: Answer | null =
    state === 'done' ? { kind: 'done', text } : state === 'failed' ? { kind: 'failed', text: text ?? '{}' } : null;
  return answer === null ? { kind: 'held' } : { kind: 'answered', answer };
}
