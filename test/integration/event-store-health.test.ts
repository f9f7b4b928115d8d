import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openProviders } from '../../src/providers.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { createHealthState, readiness } from '../../src/telemetry/health.ts';
import { createMonitor } from '../../src/telemetry/monitor.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import { watchedBy } from '../../src/worker/watched.ts';
import { configOf, withFolder } from '../support/config-folder.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMessageDb } from '../support/message-db.ts';
import { aDatabase, setUp } from '../support/postgresql-database.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import { run } from '../support/run-command.ts';
import { until } from '../support/until.ts';

const domainOn = (url: string) => `name = "bookshelf"
[brokers.default]
provider = "inline"
[event_store]
provider = "message_db"
database_uri = "${url}"
max_connections = 2
`;

describe('a daemon with an event store', () => {
  let server: PostgresqlServer;
  before(async () => {
    server = await startPostgresql({ own: true });
  });
  after(() => server.stop());

  it('tells on /readyz whether the event store is there, and comes back with it', async () => {
    const config = await configOf(domainOn(await createMessageDb(server)));
    const emit = () => undefined;
    const loopOptions = observedLoops(systemClock, systemRandom, emit);
    const providers = openProviders(config, { clock: systemClock, random: systemRandom, emit, loopOptions });
    const state = createHealthState();
    state.phase = 'running';
    const stop = new AbortController();
    const clock = createManualClock(0);
    const paced = observedLoops(clock, systemRandom, emit);
    const monitor = createMonitor({ watched: watchedBy(config, [], providers), state, loop: paced('monitor') });
    const running = monitor.run({ soft: stop.signal, hard: stop.signal });
    const shows = (status: number, eventStore: string) =>
      until(`the event store ${eventStore}`, async () => {
        await clock.advance(5_000);
        const { status: is, body } = readiness(state);
        const { checks } = body as { readonly checks: { readonly event_store?: string } };
        return is === status && checks.event_store === eventStore ? true : null;
      });
    await shows(200, 'ok');
    // The servers of tests do not wait for their disk: what is there must survive the kill.
    await server.psql(server.url, 'checkpoint');
    await server.kill();
    await shows(503, 'unreachable');
    await server.restart();
    await shows(200, 'ok');
    stop.abort();
    await clock.advance(5_000);
    await running;
    await providers.close();
  });

  it('does not start on a database that is no Message DB, and says what to do', async () => {
    const toml = domainOn(await server.createDatabase());
    const handlers = `import { eventHandler } from 'domaind'
export const Nothing = eventHandler({ category: 'order', handles: { $any: () => {} } })`;
    const { code, err } = await withFolder({ 'domain.toml': toml, 'handlers/nothing.js': handlers }, (cwd) =>
      run(['server', '--dry-run'], { cwd }),
    );
    assert.notEqual(code, 0);
    assert.match(err, /the event store is not ready\n +there is no schema message_store: install Message DB there/);
  });

  it('is told of by db status', async () => {
    const url = await server.createDatabase();
    const database = aDatabase(url);
    await setUp(database, { externalBrokers: [] });
    await database.close();
    const status = (store: string, ...more: readonly string[]) =>
      withFolder(
        { 'domain.toml': `${domainOn(store)}[databases.default]\nprovider = "postgresql"\ndatabase_uri = "${url}"\n` },
        (cwd) => run(['db', 'status', ...more], { cwd }),
      );
    const well = await status(await createMessageDb(server));
    assert.equal(well.code, 0, well.out + well.err);
    assert.match(well.out, /\nevent store: Message DB 1\.3\.\d+, ready$/);
    const ill = await status(url, '--json');
    assert.equal(ill.code, 1);
    const [, store] =
      ill.json<{ readonly database: string; readonly problems: readonly { readonly code: string }[] }[]>();
    assert.deepEqual([store?.database, store?.problems.map(({ code }) => code)], ['event store', ['schema_missing']]);
  });
});
