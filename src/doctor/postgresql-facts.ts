import type { OutboxConfig } from '../config/config.ts';
import { postgresqlAddressOf } from '../connection/address-of-postgresql.ts';
import type { Database } from '../connection/database.ts';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { openDatabase } from '../connection/postgresql.ts';
import { createConnector } from '../connection/postgresql-connector.ts';
import { within } from '../connection/within.ts';
import type { JsonObject } from '../message/message.ts';
import { createPostgresqlHints } from '../outbox/postgresql-hint.ts';
import { createPostgresqlOutbox } from '../outbox/postgresql-outbox.ts';
import { createPostgresqlOutboxAdmin } from '../outbox/postgresql-outbox-admin.ts';
import type { WantedDatabase } from '../outbox/schema/check.ts';
import { checkDatabase } from '../outbox/schema/check.ts';
import type { Clock } from '../runtime/clock.ts';
import { DomaindError, UnavailableError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { DatabaseFacts, DatabaseState, OutboxFacts } from './facts.ts';
import { isLocal, unreachedBy } from './redis-facts.ts';

export interface AskedDatabase {
  readonly wanted: WantedDatabase;
  /** Null where there is none. */
  readonly outbox: OutboxConfig | null;
  /** Where its rows go: those that name no broker (null) to `[outbox] broker`, the others to theirs. */
  readonly targets: readonly { readonly target: string | null; readonly broker: string }[];
  /** Whether [outbox] hint is on. */
  readonly hint: boolean;
  /** Whether to try NOTIFY as well: takes seconds where it is not heard. */
  readonly tryNotify: boolean;
}

/** Gathers what is known of a database, on connections of its own. Never throws for a server's fault. */
export async function postgresqlFacts(
  config: PostgresqlConfig,
  asked: AskedDatabase,
  { clock }: { readonly clock: Clock },
): Promise<DatabaseFacts> {
  const { name } = config;
  const database = openDatabase(config, { notice: () => undefined, clock });
  try {
    return { name, state: await stateOf(database, config, asked, clock) };
  } catch (error) {
    if (!(error instanceof DomaindError)) throw error;
    return { name, state: unreachedBy(error) };
  } finally {
    await database.close();
  }
}

/** A pooler whose backends are all taken lets us wait. */
const poolPatienceMs = 1_000;

const handedOn = 'its sessions are handed from one client to the next after each transaction';

interface Session {
  readonly server: string;
  readonly ssl: boolean;
  readonly pid: number;
  readonly now: number;
}

async function stateOf(
  database: Database,
  config: PostgresqlConfig,
  asked: AskedDatabase,
  clock: Clock,
): Promise<DatabaseState> {
  const { wanted, hint, tryNotify } = asked;
  await database.bounded((sql) => sql`select 1`);
  const before = clock.now();
  const result = await database.bounded(
    (sql) => sql<Session[]>`
      select current_setting('server_version') as server, pg_backend_pid() as pid,
        coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as ssl,
        (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
  );
  const roundTrip = clock.now() - before;
  const [session] = result;
  if (session === undefined) throw new TypeError('a select without a table has one row');
  // A pooler hands out keys of its own (ADR-6).
  const pooled = result.state.pid !== session.pid;
  const direct = config.directUri !== null;
  const deaf = hint && pooled && !direct && !(await keepsItsSession(config, clock));
  const problems = await checkDatabase(database, wanted);
  const host = postgresqlAddressOf(config.uri).hosts[0]?.host ?? 'localhost';
  const sound = problems.every(
    ({ code }) => code === 'index_missing' || code.startsWith('version') || code === 'setting_old',
  );
  return {
    server: session.server,
    problems,
    encrypted: session.ssl,
    local: isLocal(host),
    pooled,
    direct,
    deaf: deaf ? handedOn : hint && tryNotify ? await deafTo(config, database, clock) : null,
    skewMs: Math.round(session.now - (before + roundTrip / 2)),
    skewErrorMs: Math.ceil(roundTrip / 2),
    outboxes: sound ? await outboxesOf(database, asked) : [],
  };
}

/**
 * Whether a pooler gives a client the same backend again after another client had a transaction: it does in session mode.
 * A pooler hands out the backend that was used last, so the other one gets ours where it can be had.
 */
async function keepsItsSession(config: PostgresqlConfig, clock: Clock): Promise<boolean> {
  const { name, uri, connectTimeoutMs } = config;
  const connector = createConnector({ name, uri, connectTimeoutMs, maxAgeMs: Infinity }, { clock });
  const links = await Promise.all([1, 2].map(() => connector.open({ onLost: () => undefined })));
  const [ours, other] = links;
  if (ours === undefined || other === undefined) throw new TypeError('two were opened');
  const pid = async () => {
    const [row] = await ours.sql.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
    return row?.pid;
  };
  try {
    const before = await pid();
    await other.sql.unsafe('begin');
    const late = () => new UnavailableError('database_timeout', 'no backend is left');
    const after = await within(clock, poolPatienceMs, pid(), late).catch(toError);
    return after === before;
  } finally {
    for (const link of links) link.destroy();
  }
}

/** Why what is said by NOTIFY is not heard as the relay would hear it, or null. A busy machine may be late once. */
const deafTo = async (config: PostgresqlConfig, database: Database, clock: Clock): Promise<string | null> =>
  (await hears(config, database, clock)) && (await hears(config, database, clock));

async function hears(config: PostgresqlConfig, database: Database, clock: Clock): Promise<string | null> {
  try {
    const session = await createPostgresqlHints(config, {
      clock,
      say: (statement) => database.bounded((sql) => sql.unsafe(statement)),
    })(
      () => undefined,
      () => undefined,
    );
    session.close();
    return null;
  } catch (error) {
    // The one thing that was asked; that the server answers otherwise is known by now.
    if (error instanceof DomaindError) return error.message;
    throw error;
  }
}

/** By the counts and leases that the relay and `domaind outbox` go by, each of which has its index. */
async function outboxesOf(database: Database, { outbox, targets }: AskedDatabase): Promise<readonly OutboxFacts[]> {
  if (outbox === null) return [];
  const admin = createPostgresqlOutboxAdmin(database);
  const store = createPostgresqlOutbox(outbox, { database, emit: () => undefined });
  const held = (await admin.leases()).filter(({ expiresInMs }) => expiresInMs > 0);
  const any = { stream: null, type: null, olderThanMs: null };
  const [row] = await admin.list(['failed', 'abandoned'], any, 1);
  return Promise.all(
    targets.map(async ({ target, broker }) => ({
      broker,
      ...(await store.stats(target)),
      owners: [
        ...new Set(
          held.filter(({ name }) => name.startsWith(leasesOf(database.name, target, broker))).map(({ owner }) => owner),
        ),
      ],
      lastError: row === undefined || row.lastError === null ? null : saidBy(row.lastError),
    })),
  );
}

/** What the names of the leases of a relay begin with (see createShards). */
const leasesOf = (database: string, target: string | null, broker: string): string =>
  target === null ? `outbox:${database}:${broker}` : `outbox:${database}:external:${target}`;

const saidBy = (error: JsonObject): string =>
  `${String(error['code'] ?? error['type'] ?? 'error')}: ${String(error['message'] ?? '').slice(0, 160)}`;
