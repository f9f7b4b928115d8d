import { randomBytes } from 'node:crypto';
import { openDatabase } from './connection/postgresql.ts';
import { createRedisConnection } from './connection/redis.ts';
import type { LoadedHandler } from './handler/loaded-handler.ts';
import type { Json, JsonObject } from './message/message.ts';
import { camelDomain, normalizeDomain } from './message/stream-name.ts';
import { parseTypeName } from './message/type-name.ts';
import { setupDatabase } from './outbox/schema/setup.ts';
import type { Millis } from './runtime/clock.ts';
import { systemClock, systemRandom } from './runtime/clock.ts';
import type { ManualClock } from './runtime/manual-clock.ts';
import type { TestMessage } from './testing.ts';

/** Real servers for a test: what it leaves there is a schema and keys of a name of its own, which `stop` removes. */
export interface TestServers {
  /** A PostgreSQL database in which schemas may be made. */
  readonly databaseUri: string;
  readonly redisUrl: string;
}

/** What is in the stores of a test, as it was when last looked at. */
export interface Look {
  readonly documents: ReadonlyMap<string, { readonly [id: string]: JsonObject }>;
  readonly messages: readonly TestMessage[];
}

/** A place on real servers that no other test knows. */
export interface Ground {
  /** The domain's name there. */
  readonly name: string;
  /** The tables of domain.toml that lead there. */
  readonly settings: { readonly [key: string]: unknown };
  /** External streams have names of their own there, too. */
  readonly streamOf: (stream: string) => string;
  readonly handlerOf: (handler: LoadedHandler) => LoadedHandler;
  look(): Promise<Look>;
  /** Removes all of it. */
  clear(): Promise<void>;
}

/** Time as it passes: `advance` waits. */
export const realTime: ManualClock = {
  ...systemClock,
  advance: (ms: Millis) => systemClock.sleep(ms, new AbortController().signal),
};

/** Makes the schema and its tables. Throws UnavailableError where a server is away. */
export async function prepareGround({ databaseUri, redisUrl }: TestServers, domain: string): Promise<Ground> {
  const own = `t${randomBytes(5).toString('hex')}`;
  const name = `${normalizeDomain(domain)}_${own}`;
  const limits = { poolSize: 2, maxOverflow: 0, connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };
  const at = {
    provider: 'postgresql',
    name: 'tests',
    uri: databaseUri,
    directUri: null,
    schema: name,
    ...limits,
  } as const;
  const database = openDatabase(at, { notice: () => undefined, withoutHandlers: true });
  await setupDatabase(database, { normalized: name, camel: camelDomain(name), externalBrokers: [], shards: null });

  const category = (stored: string): string => stored.replace(`${name}::`, `${normalizeDomain(domain)}::`);
  const streamOf = (stream: string): string => `${stream}.${own}`;

  return {
    name,
    settings: {
      databases: { default: { provider: 'postgresql', database_uri: databaseUri, schema: name } },
      brokers: { default: { provider: 'redis', URI: redisUrl } },
    },
    streamOf,
    handlerOf: (handler) =>
      handler.kind === 'subscriber' ? { ...handler, streams: handler.streams.map(streamOf) } : handler,
    async look() {
      const documents = await database.bounded(
        (sql) => sql<{ collection: string; id: string; value: JsonObject }[]>`
          select collection, id, value from ${sql(name)}.document order by collection, id`,
      );
      const rows = await database.bounded(
        (sql) => sql<{ type: string; category: string; stream_name: string; kind: string; data: Json }[]>`
          select type, category, stream_name, metadata -> 'domain' ->> 'kind' as kind, data
          from ${sql(name)}.outbox where target_broker is null order by id`,
      );
      const collections = grouped(documents);
      return {
        documents: new Map(
          [...collections].map(([collection, all]) => [
            collection,
            Object.fromEntries(all.map(({ id, value }) => [id, value])),
          ]),
        ),
        messages: rows.map((row) => ({
          kind: row.kind === 'COMMAND' ? 'COMMAND' : 'EVENT',
          name: parseTypeName(row.type)?.name ?? row.type,
          category: category(row.category).replace(/:command$/, ''),
          id: row.stream_name.slice(row.category.length + 1),
          // A payload is an object: the outbox takes nothing else.
          data: row.data as JsonObject,
        })),
      };
    },
    async clear() {
      await database.bounded((sql) => sql`drop schema ${sql(name)} cascade`);
      await database.close();
      await forgetKeys(redisUrl, own);
    },
  };
}

/** Removes the keys that have this in their name. */
async function forgetKeys(uri: string, own: string): Promise<void> {
  const bounds = { tls: null, connectTimeoutMs: 5_000, commandTimeoutMs: 5_000, clientName: 'domaind-testing' };
  const nothing = { onLost: () => undefined, onRestored: () => undefined };
  const redis = createRedisConnection(
    { name: 'the tests', uri, ...bounds },
    { clock: systemClock, random: systemRandom, ...nothing },
  );
  await redis.ready();
  for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
    const answer = await redis.ask(['SCAN', cursor, 'MATCH', `*${own}*`, 'COUNT', '1000']);
    const [next, keys] = Array.isArray(answer) ? answer : ['0', []];
    cursor = String(next);
    if (Array.isArray(keys) && keys.length > 0) await redis.ask(['UNLINK', ...keys.map(String)]);
  }
  redis.close();
}

function grouped<T extends { readonly collection: string }>(all: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const each of all) groups.set(each.collection, [...(groups.get(each.collection) ?? []), each]);
  return groups;
}
