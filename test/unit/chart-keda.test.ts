import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tools } from '../../scripts/deploy-tools.mjs';
import { only, render, renderFeature, withTools } from '../support/chart.ts';
import { runDomaind } from '../support/daemon.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'domaind-chart-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Trigger {
  readonly type: string;
  readonly metadata: { readonly [key: string]: string };
}

const triggersOf = (manifests: Parameters<typeof only>[0]): readonly Trigger[] =>
  (only(manifests, 'ScaledObject').spec as { readonly triggers: readonly Trigger[] }).triggers;

/** What the daemon itself says it reads: its plan for a configuration, as operators hand it to the chart. */
async function planOf(
  name: string,
  lines: string,
): Promise<{ readonly file: string; readonly rows: readonly PlanRow[] }> {
  const config = join(folder, `${name}.toml`);
  const stores = '[databases.default]\nprovider = "memory"\n[brokers.default]\nprovider = "inline"\n';
  const handlers = `[handlers]\npath = ${JSON.stringify(join(root, 'examples/bookshelf/handlers'))}\n`;
  writeFileSync(
    config,
    `name = "Book Shelf"\n${lines}\n${handlers}${stores}[server]\ndefault_subscription_type = "stream"\n`,
  );
  const { code, out, err } = await runDomaind(['server', '--dry-run', '--json', '--config', config]);
  assert.equal(code, 0, err);
  const file = join(folder, `${name}.json`);
  writeFileSync(file, out);
  return { file, rows: JSON.parse(out) };
}

interface PlanRow {
  readonly handler: string;
  readonly kind: string;
  readonly group: string;
  readonly streams: readonly string[];
}

/** domain.toml as it is deployed. */
const deployed = (more = '', broker = ''): string =>
  `--set-literal=config=name = "Book Shelf"
[databases.default]
provider = "postgresql"
[brokers.default]
provider = "redis"
URI = "redis://redis.books:6380/3"
${broker}
[server.health]
host = "0.0.0.0"
${more}`;

const scaled = ['--set', 'autoscaling.keda.enabled=true'];

describe('the triggers of KEDA', withTools(tools.helm), () => {
  let plan: Awaited<ReturnType<typeof planOf>>;
  before(async () => {
    plan = await planOf('plain', '');
  });

  it('are two a stream of each of six handlers, with the names of the daemon and strings throughout', async () => {
    const manifests = await renderFeature('keda');
    const triggers = triggersOf(manifests);
    assert.equal(triggers.length, 12);
    assert.ok(triggers.every(({ type }) => type === 'redis-streams'));
    assert.deepEqual(
      triggers.flatMap(({ metadata }) => Object.values(metadata)).filter((value) => typeof value !== 'string'),
      [],
    );
    const named = triggers
      .filter((_, index) => index % 2 === 0)
      .map(({ metadata }) => [metadata['consumerGroup'], metadata['stream']]);
    assert.deepEqual(named, [
      ['bookshelf.OrderCommandHandler', 'bookshelf::order:command'],
      ['bookshelf.BookCommandHandler', 'bookshelf::book:command'],
      ['bookshelf.OrderSummary', 'bookshelf::order'],
      ['bookshelf.BookCatalogue', 'bookshelf::book'],
      ['notifications', 'bookshelf::order'],
      ['bookshelf.ExternalOrderSubscriber', 'external-orders'],
    ]);
    for (const [index, { metadata }] of triggers.entries()) {
      const metric = index % 2 === 0 ? 'lagCount' : 'pendingEntriesCount';
      const other = index % 2 === 0 ? 'pendingEntriesCount' : 'lagCount';
      assert.match(metadata[metric] ?? '', /^\d+$/);
      assert.equal(metadata[other], undefined);
      assert.equal(metadata['address'], 'redis:6379');
    }
  });

  it('are those of the plan that the daemon prints', async () => {
    const triggers = triggersOf(
      await render(deployed(), ...scaled, '--set-file', `autoscaling.keda.plan=${plan.file}`),
    );
    assert.equal(plan.rows.length, 6);
    const expected = plan.rows.flatMap(({ group, streams }) =>
      streams.flatMap((stream) => [`${group} ${stream}`, `${group} ${stream}`]),
    );
    assert.deepEqual(
      triggers.map(({ metadata }) => `${metadata['consumerGroup']} ${metadata['stream']}`),
      expected,
    );
    const [first] = triggers;
    assert.deepEqual([first?.metadata['address'], first?.metadata['databaseIndex']], ['redis.books:6380', '3']);
  });

  it('are the same by stated handlers as by the plan, whose names the daemon derives', async () => {
    const stated = plan.rows.map(({ handler, kind, streams }) =>
      kind === 'subscriber'
        ? { name: handler, kind, stream: streams[0] }
        : {
            name: handler,
            kind: kind.startsWith('command') ? 'command' : kind === 'projector' ? 'projector' : 'event',
            categories: streams.map((stream) => stream.replace(/^.*::/, '').replace(/:command$/, '')),
          },
    );
    const byHandlers = await render(
      deployed(),
      ...scaled,
      '--set-json',
      `autoscaling.keda.handlers=${JSON.stringify(stated)}`,
    );
    const byPlan = await render(deployed(), ...scaled, '--set-file', `autoscaling.keda.plan=${plan.file}`);
    assert.deepEqual(triggersOf(byHandlers), triggersOf(byPlan));
  });

  it('count the backfill lanes too', async () => {
    const lanes = '[server.priority_lanes]\nenabled = true\nbackfill_suffix = "slow"';
    const withLanes = await planOf('lanes', lanes);
    const handlers = '[{"name":"OrderSummary","kind":"projector","category":"order"}]';
    const triggers = triggersOf(
      await render(deployed(lanes), ...scaled, '--set-json', `autoscaling.keda.handlers=${handlers}`),
    );
    const streams = [...new Set(triggers.map(({ metadata }) => metadata['stream']))];
    assert.deepEqual(streams, withLanes.rows.find(({ handler }) => handler === 'OrderSummary')?.streams);
  });

  it('name keys as they are on a cluster, by its addresses', async () => {
    const triggers = triggersOf(await renderFeature('keda-cluster'));
    assert.deepEqual(
      triggers.map(({ type, metadata }) => [type, metadata['stream'], metadata['addresses'], metadata['enableTLS']]),
      Array.from({ length: 2 }, () => [
        'redis-cluster-streams',
        '{bookshelf::order}',
        'redis-0.example:6380,redis-1.example:6380',
        'true',
      ]),
    );
    assert.ok(triggers.every(({ metadata }) => metadata['passwordFromEnv'] === 'REDIS_PASSWORD'));
  });

  it('find Redis in the overlay in force and in what variables are stated', async () => {
    const file = join(folder, 'overlay.toml');
    writeFileSync(
      file,
      `name = "shop"
[brokers.default]
provider = "inline"
[server.health]
host = "\${HEALTH_HOST|127.0.0.1}"
[live.databases.default]
provider = "postgresql"
[live.brokers.default]
provider = "redis"
URI = "rediss://\${REDIS_HOST}:\${REDIS_PORT:-6390}/\${NUMBER|2}"
`,
    );
    const handlers = '[{"name":"Bills","kind":"event","category":"order"}]';
    const stated = [
      '--set',
      'environment=live,env.REDIS_HOST=cache',
      '--set-json',
      `autoscaling.keda.handlers=${handlers}`,
    ];
    const [first] = triggersOf(await render('--set-file', `config=${file}`, ...scaled, ...stated));
    const { address, databaseIndex, enableTLS, consumerGroup } = first?.metadata ?? {};
    assert.deepEqual([address, databaseIndex, enableTLS, consumerGroup], ['cache:6390', '2', 'true', 'shop.Bills']);
  });
});
