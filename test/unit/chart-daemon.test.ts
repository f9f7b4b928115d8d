import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import { commands } from '../../src/cli/commands.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { createHealthAnswers } from '../../src/telemetry/health-answers.ts';
import { createHealthServer } from '../../src/telemetry/health-server.ts';
import type { Container, Manifest } from '../support/chart.ts';
import { chart, containersOf, features, only, podOf, renderFeature, withTools } from '../support/chart.ts';
import { runDomaind } from '../support/daemon.ts';
import { createManualClock } from '../support/manual-clock.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');
const imageEntry = /^ENTRYPOINT (.*)$/m.exec(text('Dockerfile'))?.[1] ?? '';

describe('the suites beside the templates', withTools(tools.helmUnittest), () => {
  it('pass, by the engine of Helm 3', () => {
    assert.ok(existsSync(tools.helmUnittest), toolsAdvice);
    const { status, stdout, stderr } = spawnSync(tools.helmUnittest, [chart], { encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^Tests: +\d+ passed/m);
  });
});

describe('the chart, held against the daemon', withTools(tools.helm), () => {
  let manifests: readonly Manifest[] = [];
  let containers: readonly Container[] = [];
  before(async () => {
    manifests = (await Promise.all(features.map((feature) => renderFeature(feature)))).flat();
    containers = manifests.flatMap((each) => containersOf(podOf(each) ?? { containers: [] }));
  });

  const commandLines = () =>
    [...new Set(containers.flatMap(({ args }) => (args === undefined ? [] : [args.join(' ')])))].sort();

  it('runs commands and flags that the daemon has', async () => {
    assert.deepEqual(commandLines(), [
      'db setup',
      'server',
      'server --debug',
      'server --only relay',
      'server --only subscriptions',
      'subscriptions setup',
    ]);
    for (const line of commandLines()) {
      const [name = '', ...rest] = line.split(' ');
      assert.ok(commands.has(name), name);
      const { code, err } = await runDomaind([name, ...rest, '--config', join(root, 'no-such.toml')]);
      assert.equal(code, 78, `${line}: a usage that is refused ends with 2\n${err}`);
    }
    assert.match(imageEntry, /^\["node", "\/app\/dist\/main\.js"\]$/);
  });

  it('asks probes at paths and a port that the daemon serves', async () => {
    const probes = containers.flatMap((container) =>
      (['startupProbe', 'livenessProbe', 'readinessProbe'] as const).flatMap((name) => container[name]?.httpGet ?? []),
    );
    const monitors = manifests.flatMap(({ spec }) =>
      [spec?.['podMetricsEndpoints'], spec?.['endpoints']].flatMap(
        (list) => (list as readonly { readonly path: string; readonly port: string }[] | undefined) ?? [],
      ),
    );
    const asked = [...new Set([...probes, ...monitors].map(({ path }) => path))].sort();
    assert.deepEqual(asked, ['/livez', '/metrics', '/readyz', '/startupz']);
    assert.ok([...probes, ...monitors].every(({ port }) => port === 'health'));
    const health = createHealthServer(
      { host: '127.0.0.1', port: 0 },
      {
        ask: createHealthAnswers({
          state: createHealthState(),
          metrics: { contentType: 'text/plain', text: async () => '' },
          version: '0',
          clock: createManualClock(0),
        }),
        emit: () => undefined,
      },
    );
    const port = await health.start();
    for (const path of asked) {
      const { status } = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.ok([200, 503].includes(status), `${path}: ${status}`);
    }
    await health.stop();
  });

  it('opens the ports of domain.toml, by whose names everything else goes', async () => {
    const ports = async (feature: string) => {
      const all = await renderFeature(feature);
      const pod = podOf(all.find(({ kind }) => kind === 'Deployment') ?? assert.fail());
      const { ports: served } = only(all, 'Service').spec as {
        readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
      };
      assert.deepEqual(
        served.map(({ name, port }) => [name, port]),
        pod?.containers[0]?.ports?.map(({ name, containerPort }) => [name, containerPort]),
      );
      return served.map(({ name, port }) => `${name} ${port}`);
    };
    assert.deepEqual(await ports('default'), ['health 8080']);
    assert.deepEqual(await ports('existing-config'), ['health 9090']);
    assert.deepEqual(await ports('ingress'), ['health 8080', 'ingress 8088']);
  });

  it('mounts where the daemon looks', () => {
    const mounts = containers.flatMap(({ volumeMounts }) => volumeMounts ?? []);
    const places = new Set(mounts.map(({ name, mountPath }) => `${name} ${mountPath}`));
    assert.ok(places.has('config /app/domain.toml'));
    assert.ok(places.has('handlers /app/handlers'));
    assert.match(text('Dockerfile'), /^WORKDIR \/app$/m);
  });

  it('names secret files as the daemon reads them', async () => {
    const pod = podOf(only(await renderFeature('secret-files'), 'Deployment'));
    const variables = pod?.containers[0]?.env?.map(({ name, value }) => `${name}=${value}`) ?? [];
    assert.ok(variables.includes('DATABASE_URL_FILE=/etc/domaind/secrets/database-url'));
    assert.match(text('src/config/variables.ts'), /_FILE/);
  });

  it('names variables that the daemon knows', () => {
    const own = containers.flatMap(({ env }) => env ?? []).filter(({ name }) => name.startsWith('DOMAIND_'));
    assert.deepEqual([...new Set(own.map(({ name }) => name))], ['DOMAIND_ENV']);
    assert.match(text('src/config/load-config.ts'), /DOMAIND_ENV/);
  });

  it('has the version of the package', () => {
    const { version } = JSON.parse(text('package.json')) as { readonly version: string };
    assert.match(text('helm/domaind/Chart.yaml'), new RegExp(`^appVersion: "${version.replaceAll('.', '\\.')}"$`, 'm'));
  });

  it('tells in its notes commands that there are', () => {
    const notes = readFileSync(join(chart, 'templates/NOTES.txt'), 'utf8');
    const named = [...notes.matchAll(/(?:main\.js|`domaind) ([a-z]+)/g)].map(([, name]) => name ?? '');
    assert.deepEqual(named, ['status', 'dlq', 'db']);
    assert.ok(named.every((name) => commands.has(name)));
  });

  it('has a file of values for each source of handlers, each mode and each scaler', () => {
    const files = readdirSync(join(chart, 'ci')).join();
    for (const part of ['image-volume', 'init-container', 'config-map', 'volume-claim', 'split', 'hpa', 'keda'])
      assert.ok(files.includes(part), part);
  });
});
