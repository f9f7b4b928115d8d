import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');
const manifest: { readonly version: string } = JSON.parse(text('package.json'));

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of a Dockerfile: comments dropped, continued lines joined. */
const instructionsIn = (dockerfile: string): readonly Instruction[] =>
  dockerfile
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
      return { name, rest };
    });

const instructions = instructionsIn(text('Dockerfile'));
const final = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
const all = (name: string, within = instructions): readonly string[] =>
  within.filter((instruction) => instruction.name === name).map(({ rest }) => rest);

describe('the image', () => {
  it('is built in stages on Node 24 unless told otherwise', () => {
    assert.deepEqual(all('ARG').slice(0, 2), ['NODE_VERSION=24', 'NODE_IMAGE=node:$' + '{NODE_VERSION}-slim']);
    assert.ok(all('FROM').length > 1);
    assert.ok(all('FROM').every((from) => from === 'scratch' || from.startsWith('$' + '{NODE_IMAGE} AS ')));
  });

  it('installs what is locked and runs no script of a package', () => {
    const installs = all('RUN').filter((command) => /npm (ci|install)/.test(command));
    assert.ok(installs.every((command) => command.startsWith('npm ci ') && command.includes('--ignore-scripts')));
    assert.ok(installs.some((command) => command.includes('--omit=dev')));
  });

  it('begins with nothing at the end: neither a shell nor npm is in it', () => {
    assert.deepEqual(all('FROM', final), ['scratch']);
    assert.deepEqual(all('RUN', final), []);
  });

  it('runs node itself, as a user by number, with a health check of its own', () => {
    const argv = (rest: string): unknown => JSON.parse(rest.slice(rest.indexOf('[')));
    assert.deepEqual(all('ENTRYPOINT', final).map(argv), [['node', '/app/dist/main.js']]);
    assert.deepEqual(all('CMD', final).map(argv), [['server']]);
    assert.deepEqual(all('HEALTHCHECK', final).map(argv), [['node', '/app/dist/main.js', 'healthcheck']]);
    assert.deepEqual(all('USER', final), ['65532:65532']);
    assert.deepEqual(all('WORKDIR', final), ['/app']);
  });

  it('bears the version of the package', () => {
    assert.ok(all('ARG', final).includes(`VERSION=${manifest.version}`));
    assert.match(all('LABEL', final).join(), /org\.opencontainers\.image\.version="\$\{VERSION\}"/);
  });

  it('copies only what is there and what .dockerignore lets through', () => {
    const passed = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = all('COPY')
      .filter((rest) => !rest.startsWith('--from'))
      .flatMap((rest) => rest.split(/\s+/).slice(0, -1))
      .map((path) => path.replace(/\/$/, ''));
    assert.deepEqual(
      copied.filter((path) => !existsSync(join(root, path))),
      [],
    );
    assert.deepEqual([...new Set(copied)].sort(), [...passed].sort());
  });
});

interface Service {
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: { readonly [name: string]: string };
  readonly depends_on?: { readonly [service: string]: { readonly condition: string } } | readonly string[];
  readonly profiles?: readonly string[];
  readonly image?: string;
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly user?: string;
}

interface Scrape {
  readonly static_configs: readonly { readonly targets: readonly string[] }[];
}

describe('the compose file', () => {
  const compose: {
    readonly services: { readonly [name: string]: Service };
    readonly volumes: { readonly [name: string]: null };
  } = parse(text('compose.yaml'), { merge: true });
  const services = Object.entries(compose.services);

  it('has the stores, the one-shot setup, the daemon and a producer', () => {
    assert.deepEqual(
      ['postgres', 'redis', 'setup', 'domaind', 'producer'].filter((name) => compose.services[name] === undefined),
      [],
    );
    assert.deepEqual(compose.services['setup']?.command, ['db', 'setup']);
    const awaited = compose.services['domaind']?.depends_on ?? {};
    assert.ok(!Array.isArray(awaited));
    assert.deepEqual((awaited as { readonly [service: string]: unknown })['setup'], {
      condition: 'service_completed_successfully',
    });
  });

  it('waits for services that it has', () => {
    const awaited = services.flatMap(([, { depends_on }]) =>
      Array.isArray(depends_on) ? depends_on : Object.keys(depends_on ?? {}),
    );
    assert.deepEqual(
      awaited.filter((name) => compose.services[name] === undefined),
      [],
    );
  });

  it('mounts files of this tree and volumes that it declares', () => {
    const sources = services.flatMap(([, { volumes }]) => (volumes ?? []).map((volume) => volume.split(':')[0] ?? ''));
    assert.deepEqual(
      sources.filter((source) =>
        source.startsWith('.') ? !existsSync(join(root, source)) : !(source in compose.volumes),
      ),
      [],
    );
  });

  it('starts scripts that are there', () => {
    const scripts = services
      .flatMap(([, { entrypoint }]) => entrypoint ?? [])
      .filter((argument) => argument.startsWith('/app/examples/'));
    assert.ok(scripts.length > 0);
    assert.deepEqual(
      scripts.filter((script) => !existsSync(join(root, script.replace('/app/', '')))),
      [],
    );
  });

  it('gives the daemon every variable that domain.toml cannot do without', () => {
    const needed = [...text('domain.toml').matchAll(/^[^#\n]*\$\{(\w+)\}/gm)].map(([, name]) => name ?? '');
    const given = compose.services['domaind']?.environment ?? {};
    assert.deepEqual(needed.sort(), ['DATABASE_URL', 'REDIS_URL']);
    assert.deepEqual(
      needed.filter((name) => !(name in given)),
      [],
    );
    assert.equal(given['HEALTH_HOST'], '0.0.0.0');
    assert.equal(given['DOMAIND_ENV'], 'production');
  });

  it('keeps what Redis was given, on disk and whatever memory it takes', () => {
    const command = compose.services['redis']?.command?.join(' ') ?? '';
    assert.match(command, /--appendonly yes --maxmemory-policy noeviction/);
  });

  it('brings Prometheus with the alerts and Grafana with the dashboard, only when asked for', () => {
    for (const name of ['prometheus', 'grafana'])
      assert.deepEqual(compose.services[name]?.profiles, ['observability'], name);
    const others = services.filter(([name]) => !['prometheus', 'grafana'].includes(name));
    assert.ok(others.every(([, { profiles }]) => profiles === undefined));
    const targetOf = (service: string, file: string) =>
      compose.services[service]?.volumes?.find((volume) => volume.startsWith(`./${file}:`))?.split(':')[1];
    const prometheus: { readonly rule_files: readonly string[]; readonly scrape_configs: readonly Scrape[] } = parse(
      text('examples/observability/prometheus.yaml'),
    );
    assert.deepEqual(prometheus.rule_files, [targetOf('prometheus', 'helm/domaind/files/alerts.yaml')]);
    assert.ok(
      compose.services['prometheus']?.command?.includes(
        `--config.file=${targetOf('prometheus', 'examples/observability/prometheus.yaml')}`,
      ),
    );
    assert.deepEqual(
      prometheus.scrape_configs.flatMap(({ static_configs }) => static_configs.flatMap(({ targets }) => targets)),
      ['domaind:8080'],
    );
    const folder: string = parse(text('examples/observability/grafana/dashboards.yaml')).providers[0].options.path;
    assert.equal(targetOf('grafana', 'helm/domaind/files/dashboard.json'), `${folder}/domaind.json`);
    const [source] = parse(text('examples/observability/grafana/datasources.yaml')).datasources;
    assert.equal(source.url, 'http://prometheus:9090');
  });

  it('names a version of every image', () => {
    const images = services.flatMap(([, { image }]) => image ?? []).filter((image) => image !== 'domaind');
    assert.deepEqual(
      images.filter((image) => !/:v?\d/.test(image)),
      [],
    );
  });

  it('lets the daemon drain before it is killed', () => {
    assert.ok(Number.parseInt(compose.services['domaind']?.stop_grace_period ?? '', 10) >= 30);
  });

  it('opens ports to this machine alone', () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    assert.deepEqual(
      ports.filter((port) => !port.startsWith('127.0.0.1:')),
      [],
    );
  });
});
