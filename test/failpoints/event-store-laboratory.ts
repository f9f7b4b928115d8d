import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { runDomaind } from '../support/daemon.ts';
import { installMessageDb } from '../support/message-db.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { until } from '../support/until.ts';
import { armedDaemons } from './armed-daemons.ts';
import type { Laboratory } from './strike.ts';

/** One event, by what its handler does with it. */
export type Event = 'plain' | 'fails once';

export interface EventStoreLaboratory extends Laboratory<Event> {
  /** The owner of the subscription dies. */
  killOwner(): Promise<void>;
  end(): Promise<void>;
}

const subscription = 'bookshelf.Summary-bookshelf::order';

const handler = `
import { appendFileSync } from 'node:fs';
import { eventHandler } from 'domaind';
export const Summary = eventHandler({
  category: 'order',
  handles: {
    Counted: async ({ data: { n, event } }, ctx) => {
      appendFileSync(process.env.STARTS, n + '\\n');
      if (event === 'fails once' && ctx.attempt === 1) throw new Error('not yet');
      await ctx.sql\`insert into effect (n) values (\${n})\`;
    },
  },
});
`;

const settings = (url: string, storeUrl: string) => `
name = "bookshelf"
[databases.default]
provider = "postgresql"
database_uri = "${url}"
[brokers.default]
provider = "inline"
[event_store]
provider = "message_db"
database_uri = "${storeUrl}"
[handlers]
path = "handlers"
[server]
default_subscription_type = "event_store"
[server.event_store_subscription]
lease_ttl_seconds = 4
recovery_interval_seconds = 1
retry_delay_seconds = 0.2
[server.health]
enabled = false
[logging]
format = "json"
`;

/** Daemons of which one at a time owns a subscription of the event store. */
export async function eventStoreLaboratory(): Promise<EventStoreLaboratory> {
  const postgresql = await startPostgresql();
  const folder = mkdtempSync(join(tmpdir(), 'domaind-failpoints-'));
  const starts = join(folder, 'starts');
  const config = join(folder, 'domain.toml');
  const url = await postgresql.createDatabase();
  const storeUrl = await installMessageDb(postgresql, url);
  appendFileSync(starts, '');
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'handlers/summary.js'), handler);
  writeFileSync(config, settings(url, storeUrl));
  const { code, err } = await runDomaind(['db', 'setup', '--config', config]);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  await postgresql.psql(url, 'create table effect (n integer)');
  const sql = postgres(url, {
    max: 1,
    onnotice: () => undefined,
    connection: { search_path: 'public,message_store' },
  });
  const daemons = armedDaemons(['server', '--config', config], { STARTS: starts });
  let n = 0;
  let last: Event = 'plain';

  return {
    daemons,
    pauseMs: 8_000,
    async send(event) {
      n += 1;
      last = event;
      const { id, data, metadata } = anEvent(n, event);
      await sql`select write_message(${randomUUID()}, ${id}, 'Bookshelf.Counted.v1', ${data}::text::jsonb, ${metadata}::text::jsonb)`;
    },
    /** Kept beside the effects, and told in the store: both say that nothing is left. */
    async isThrough() {
      const [row] = await sql<{ kept: boolean; told: boolean }[]>`
        with head as (select max(global_position) as at from message_store.messages where stream_name like 'bookshelf::order-%')
        select
          exists (select from public.event_position, head
            where subscription = ${subscription} and position >= head.at and failed = '{}') as kept,
          exists (select from message_store.messages m, head
            where m.stream_name = ${`position-${subscription}`} and (m.data ->> 'position')::bigint >= head.at) as told`;
      return row?.kept === true && row.told;
    },
    async count() {
      const begun = readFileSync(starts, 'utf8').split('\n');
      const [row] = await sql`select count(*)::int as effects from effect where n = ${n}`;
      return {
        duplicates: begun.filter((each) => each === String(n)).length - (last === 'fails once' ? 2 : 1),
        wrongEffects: Math.abs(Number(row?.['effects']) - 1),
        deadLetters: 0,
      };
    },
    async killOwner() {
      const owner = await until('an owner of the subscription', async () => {
        const [row] = await sql`
          select owner from lease where name like ${`%${subscription}`} and expires_at > clock_timestamp()`;
        return daemons.living.find(({ pid }) => String(row?.['owner']).includes(`-${pid}-`)) ?? null;
      });
      owner.signal('SIGKILL');
      await owner.ended;
    },
    async end() {
      await daemons.end();
      await sql.end();
      await postgresql.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function anEvent(n: number, event: Event) {
  const id = `bookshelf::order-${n}`;
  const time = '2026-01-01T00:00:00.000000+00:00';
  const type = 'Bookshelf.Counted.v1';
  const metadata = {
    headers: { id: `${id}-0.1`, time, type, stream: id, traceparent: null, idempotency_key: null, deadline: null },
    envelope: { specversion: '1.0', checksum: null },
    domain: { fqn: 'bookshelf.Counted', kind: 'EVENT', origin_stream: null, version: 1, asynchronous: true },
    event_store: null,
    extensions: {},
  };
  return { id, data: JSON.stringify({ n, event }), metadata: JSON.stringify(metadata) };
}
