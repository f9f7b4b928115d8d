import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { Daemon } from './daemon.ts';
import { runDomaind, startDaemon } from './daemon.ts';
import { installMessageDb } from './message-db.ts';
import type { PostgresqlServer } from './postgresql-server.ts';

/** What a handler wrote, in the order of the commits of that handler. */
export interface Effect {
  readonly handler: string;
  readonly stream: string;
  readonly n: number;
}

/** Daemons, each a process of its own, whose handlers read one event store and write to the same database. */
export interface EventStoreReplicas {
  readonly url: string;
  /** `url`: of a proxy, say, to be cut off by. */
  start(url?: string): Daemon;
  /** In their order for each handler. */
  effects(): Promise<readonly Effect[]>;
  count(): Promise<number>;
  run(argv: readonly string[]): ReturnType<typeof runDomaind>;
  end(): Promise<void>;
}

export interface ReplicasOptions {
  readonly server: PostgresqlServer;
  /** How many handlers there are, each with a subscription of its own. */
  readonly handlers: number;
  /** `order`, or `$all`. */
  readonly category?: string;
  /** Of `[server.event_store_subscription]`. */
  readonly settings: string;
  /** The body of the handler before it writes its effect. */
  readonly handle?: string;
  /** In the place of those handlers: a whole module. */
  readonly module?: string;
}

const handlersOf = ({ handlers, category = 'order', handle = '' }: ReplicasOptions): string => `
import { eventHandler } from 'domaind';
const summary = (name) => eventHandler({
  category: '${category}',
  handles: {
    Counted: async ({ data, stream }, ctx) => {
      ${handle}
      await ctx.sql\`insert into effect (handler, stream, n) values (\${name}, \${stream}, \${data.n})\`;
    },
  },
});
${Array.from({ length: handlers }, (_, index) => `export const Summary${index} = summary('Summary${index}');`).join('\n')}
`;

const domain = (settings: string): string => `
name = "bookshelf"
[databases.default]
provider = "postgresql"
database_uri = "\${HANDLERS_URL}"
pool_size = 12
[brokers.default]
provider = "inline"
[event_store]
provider = "message_db"
database_uri = "\${EVENT_STORE_URL}"
max_connections = 6
[handlers]
path = "handlers"
[server]
default_subscription_type = "event_store"
drain_timeout_seconds = 10
[server.event_store_subscription]
${settings}
[server.health]
port = 0
[logging]
format = "json"
level = "info"
`;

export async function eventStoreReplicas(options: ReplicasOptions): Promise<EventStoreReplicas> {
  const { server, settings } = options;
  const url = await server.createDatabase();
  const storeUrl = await installMessageDb(server, url);
  const folder = mkdtempSync(join(tmpdir(), 'domaind-event-store-'));
  const config = join(folder, 'domain.toml');
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'handlers/summaries.js'), options.module ?? handlersOf(options));
  writeFileSync(config, domain(settings));
  const through = (to: string) => {
    const port = new URL(to).port;
    const own = new URL(storeUrl);
    own.port = port;
    return { HANDLERS_URL: to, EVENT_STORE_URL: own.href };
  };
  const run = (argv: readonly string[]) => runDomaind([...argv, '--config', config], through(url));
  const { code, err } = await run(['db', 'setup']);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  await server.psql(url, 'create table effect (id bigserial, handler text, stream text, n integer)');
  const all: Daemon[] = [];
  return {
    url,
    start(to = url) {
      const daemon = startDaemon(['server', '--config', config], through(to));
      all.push(daemon);
      return daemon;
    },
    async effects() {
      const text = await server.psql(url, `select handler || ' ' || stream || ' ' || n from effect order by id`);
      return text
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [handler = '', stream = '', n = ''] = line.split(' ');
          return { handler, stream, n: Number(n) };
        });
    },
    count: async () => Number(await server.psql(url, 'select count(*) from effect')),
    run,
    async end() {
      for (const daemon of all) {
        daemon.signal('SIGCONT');
        daemon.signal('SIGKILL');
      }
      await Promise.all(all.map(({ ended }) => ended));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface EventWriting {
  readonly writers: number;
  /** Streams of each writer; each event of a stream has the next number. */
  readonly streams: number;
  /** Events of each writer. */
  readonly events: number;
  /** Each writer has a category of its own, so that none waits for another. */
  readonly categories: boolean;
  /** A transaction has up to so many events, and stays open up to so long before it commits. */
  readonly batch: number;
  readonly delayMs: number;
  /** Of a hundred transactions, so many are rolled back. */
  readonly rolledBack?: number;
  /** What the ids of the streams begin with: other streams than those of another call. */
  readonly prefix?: string;
}

/** Writes events in transactions that commit late and out of order; what was committed, by stream. */
export async function writeEvents(url: string, writing: EventWriting): Promise<ReadonlyMap<string, number>> {
  const { writers, streams, events, categories, batch, delayMs, rolledBack = 0, prefix = '' } = writing;
  const sql = postgres(url, {
    max: writers,
    onnotice: () => undefined,
    connection: { search_path: 'message_store,public' },
  });
  const committed = new Map<string, number>();
  const writer = async (index: number) => {
    const category = categories ? `bookshelf::order${index}` : 'bookshelf::order';
    for (let written = 0; written < events; ) {
      const count = Math.min(events - written, 1 + Math.floor(Math.random() * batch));
      const fails = Math.random() * 100 < rolledBack;
      const more = new Map<string, number>();
      const rows = Array.from({ length: count }, (_, at) => {
        const stream = `${category}-${prefix}${index}x${(written + at) % streams}`;
        const n = (more.get(stream) ?? committed.get(stream) ?? 0) + 1;
        more.set(stream, n);
        return { stream, n };
      });
      await sql
        .begin(async (tx) => {
          await tx`
            select write_message(row ->> 'id', row ->> 'stream', 'Bookshelf.Counted.v1', (row -> 'data')::jsonb, (row -> 'metadata')::jsonb)
            from json_array_elements(${JSON.stringify(rows.map(toRow))}::text::json) row`;
          if (delayMs > 0) await tx`select pg_sleep(${(Math.random() * delayMs) / 1_000}::float8)`;
          if (fails) throw new RolledBack();
        })
        .then(
          () => {
            written += count;
            for (const [stream, n] of more) committed.set(stream, n);
          },
          (error: unknown) => {
            if (!(error instanceof RolledBack)) throw error;
          },
        );
    }
  };
  try {
    await Promise.all(Array.from({ length: writers }, (_, index) => writer(index)));
  } finally {
    await sql.end();
  }
  return committed;
}

class RolledBack extends Error {}

const toRow = ({ stream, n }: { readonly stream: string; readonly n: number }) => ({
  id: randomUUID(),
  stream,
  data: { n },
  metadata: {
    headers: {
      id: `${stream}-0.${n}`,
      time: new Date().toISOString().replace('Z', '000+00:00'),
      type: 'Bookshelf.Counted.v1',
      stream,
      traceparent: null,
      idempotency_key: null,
      deadline: null,
    },
    envelope: { specversion: '1.0', checksum: null },
    domain: { fqn: 'bookshelf.Counted', kind: 'EVENT', origin_stream: null, version: 1, asynchronous: true },
    event_store: null,
    extensions: {},
  },
});

/** What is wrong with the effects, against what was committed: nothing may be. */
export function judgeEffects(
  effects: readonly Effect[],
  committed: ReadonlyMap<string, number>,
  handlers: number,
): { readonly missing: number; readonly twice: number; readonly outOfOrder: readonly string[] } {
  const last = new Map<string, number>();
  const seen = new Set<string>();
  const outOfOrder: string[] = [];
  let twice = 0;
  for (const { handler, stream, n } of effects) {
    const key = `${handler} ${stream} ${n}`;
    if (seen.has(key)) {
      twice += 1;
      continue;
    }
    seen.add(key);
    const before = last.get(`${handler} ${stream}`) ?? 0;
    if (n !== before + 1) outOfOrder.push(`${key} after ${before}`);
    last.set(`${handler} ${stream}`, Math.max(n, before));
  }
  const expected = handlers * [...committed.values()].reduce((sum, count) => sum + count, 0);
  return { missing: expected - seen.size, twice, outOfOrder: outOfOrder.slice(0, 5) };
}
