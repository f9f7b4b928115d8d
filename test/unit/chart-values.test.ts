import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isMap, isPair, parse, parseDocument, visit } from 'yaml';
import { tools } from '../../scripts/deploy-tools.mjs';
import { chart, featureFile, helm, withTools } from '../support/chart.ts';

const values = readFileSync(join(chart, 'values.yaml'), 'utf8');

interface Schema {
  readonly properties?: { readonly [key: string]: Schema };
  readonly additionalProperties?: unknown;
}

const schema: Schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'));

/** Starts from the least that the chart takes. */
const refused = async (...sets: readonly string[]): Promise<string> => {
  const stated = sets.flatMap((each) => (each.startsWith('--') ? [each] : ['--set', each]));
  const base = ['--values', featureFile('default')];
  const { code, err } = await helm('template', 'shop', chart, ...base, ...stated);
  assert.notEqual(code, 0, `taken: ${sets.join(' ')}`);
  return err;
};

/** A configuration of one line more than the least, as a value to set. */
const config = (lines: string): string =>
  `--set-literal=config=name = "bookshelf"\n${lines}\n[databases.default]\nprovider = "postgresql"\n[brokers.default]\nprovider = "redis"\n`;
const sound = '[server.health]\nhost = "0.0.0.0"';

describe('values.yaml', () => {
  it('comments every value, as helm-docs reads it', () => {
    const bare: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (!isMap(node)) return;
      for (const pair of node.items) {
        if (!isPair(pair)) continue;
        const key = String((pair.key as { readonly value: string }).value);
        const at = path === '' ? key : `${path}.${key}`;
        const comment = (pair.key as { readonly commentBefore?: string }).commentBefore ?? '';
        const first = node.items[0] === pair ? (node.commentBefore ?? '') : '';
        const told = /(^|\n) -- /.test(comment) || /(^|\n) -- /.test(first);
        const passedOn = /^(podSecurityContext|securityContext|strategy|resources|migration\.resources)\./.test(
          `${at}.`,
        );
        if (told || passedOn || /^(env|metrics\.dashboard\.labels)\./.test(at)) continue;
        if (isMap(pair.value) && pair.value.items.length > 0) walk(pair.value, at);
        else bare.push(at);
      }
    };
    const document = parseDocument(values);
    visit(document, {});
    walk(document.contents, '');
    assert.deepEqual(bare, []);
  });

  it('has the keys of the schema, and the schema takes no others', () => {
    const compare = (node: unknown, { properties, additionalProperties }: Schema, path: string): void => {
      if (properties === undefined) return;
      assert.equal(additionalProperties, false, path);
      if (typeof node !== 'object' || node === null) return;
      const keys = Object.keys(properties).filter((key) => key !== 'global' && key !== 'claims');
      const own = Object.keys(node);
      assert.deepEqual(
        own.filter((key) => !keys.includes(key)),
        [],
        path,
      );
      for (const key of own)
        compare((node as { readonly [key: string]: unknown })[key], properties[key] ?? {}, `${path}.${key}`);
    };
    const parsed: { readonly [key: string]: unknown } = parse(values);
    compare(parsed, schema, '');
    assert.deepEqual(
      Object.keys(parsed).sort(),
      Object.keys(schema.properties ?? {})
        .filter((key) => key !== 'global')
        .sort(),
    );
  });
});

describe('the schema of the values', withTools(tools.helm), () => {
  const refusals: readonly (readonly [name: string, set: string, message: RegExp])[] = [
    ['a key that there is not', 'replica=2', /additional properties 'replica' not allowed/],
    ['a key within that there is not', 'image.tags=1', /additional properties 'tags' not allowed/],
    ['a mode that there is not', 'mode=both', /\/mode/],
    ['a source of handlers that there is not', 'handlers.source=git', /\/handlers\/source/],
    ['a digest that is none', 'image.digest=latest', /\/image\/digest/],
    ['half a pod', 'replicas=1.5', /\/replicas/],
    ['a variable by a name that cannot be one', 'env.MY-VAR=1', /MY-VAR/],
    ['an interval without a unit', 'metrics.podMonitor.interval=15', /interval/],
    ['a handler of no kind', 'autoscaling.keda.handlers[0].name=A', /\/autoscaling\/keda\/handlers\/0/],
    ['a mount path that is relative', 'handlers.mountPath=handlers', /\/handlers\/mountPath/],
  ];
  for (const [name, set, message] of refusals) {
    it(`refuses ${name}`, async () => assert.match(await refused(set), message));
  }
});

describe('values that contradict each other', withTools(tools.helm), () => {
  const keda = 'autoscaling.keda.enabled=true';
  const handler = '--set-json=autoscaling.keda.handlers=[{"name":"A","kind":"projector","category":"order"}]';
  const inMemory = `--set-literal=config=name = "bookshelf"\n${sound}\n`;
  const messages: readonly (readonly [sets: readonly string[], message: RegExp])[] = [
    [['existingConfigMap=mine'], /config and existingConfigMap are both given/],
    [['config='], /no configuration: give --set-file config=domain\.toml/],
    [['--set-literal=config=name = '], /config is not TOML: /],
    [['environment=staging'], /environment is "staging", but config has no table \[staging\.…\]/],
    [[config('[server.health]\nenabled = false')], /\[server\.health\] enabled is false/],
    [[config('')], /\[server\.health\] host is 127\.0\.0\.1 in config, where no probe reaches it/],
    [[config('[server.health]\nhost = "0.0.0.0"\nport = 0')], /\[server\.health\] port is 0/],
    [[config(`${sound}\n[server.ingress]\nenabled = true`)], /\[server\.ingress\] host is 127\.0\.0\.1/],
    [[inMemory, 'mode=split'], /mode is split, but the default broker of config is inline/],
    [[inMemory, 'replicas=2'], /more than one pod, but config keeps messages in the memory of one/],
    [[config(`enable_outbox = false\n${sound}`), 'mode=split'], /enable_outbox is false in config/],
    [
      [config(`[handlers]\npath = "mine"\n${sound}`), 'handlers.source=configMap', 'handlers.configMap.name=h'],
      /handlers are mounted at \/app\/handlers, but \[handlers\] path in config is "mine", which is \/app\/mine/,
    ],
    [['terminationGracePeriodSeconds=29'], /a drain takes up to 25 s, so at least 30 are needed/],
    [['preStopSleepSeconds=20'], /so at least 50 are needed/],
    [
      [config(`[server]\ndrain_timeout_seconds = "\${DRAIN|60}"\n${sound}`)],
      /a drain takes up to 60 s, so at least 65 are needed/,
    ],
    [['handlers.source=imageVolume'], /name the image in handlers\.imageVolume\.reference/],
    [['handlers.source=initContainer'], /name the image in handlers\.initContainer\.image/],
    [['handlers.source=configMap'], /give handlers\.configMap\.name or handlers\.configMap\.files/],
    [
      ['handlers.configMap.name=a', 'handlers.configMap.files.b=c'],
      /handlers\.configMap\.name and handlers\.configMap\.files are both given/,
    ],
    [['handlers.source=persistentVolumeClaim'], /name it in handlers\.persistentVolumeClaim\.claimName/],
    [['secrets.existingSecret='], /name it in secrets\.existingSecret/],
    [['env.DATABASE_URL=x'], /the variable DATABASE_URL is given more than once/],
    [[keda, handler, 'autoscaling.hpa.enabled=true'], /both enabled: KEDA makes a HorizontalPodAutoscaler itself/],
    [['autoscaling.minReplicas=11'], /autoscaling\.minReplicas is 11, more than maxReplicas, 10/],
    [['autoscaling.hpa.enabled=true', 'autoscaling.minReplicas=0'], /KEDA may go to 0/],
    [['autoscaling.hpa.enabled=true', 'resources.requests=null'], /set resources\.requests\.cpu/],
    [[keda, handler, 'autoscaling.minReplicas=0'], /without a pod nothing relays the outbox; use mode split/],
    [[keda], /autoscaling\.keda knows no handler: give --set-file autoscaling\.keda\.plan/],
    [
      [keda, 'autoscaling.keda.plan=order'],
      /autoscaling\.keda\.plan is not what `domaind server --dry-run --json` prints/,
    ],
    [
      [keda, handler, '--set-literal=config=name = "Bücher"\n[server.health]\nhost = "0.0.0.0"\n'],
      /write name in config, of plain letters/,
    ],
    [[keda, handler, config(sound)], /does not tell where the Redis of \[brokers\.default\] is/],
    [
      [keda, handler, config(sound).replace('"redis"', '"redis"\nURI = "redis://:hush@redis"')],
      /has a password, which KEDA needs and a ScaledObject must not show/,
    ],
    [
      ['podDisruptionBudget.enabled=true', 'podDisruptionBudget.minAvailable=1'],
      /minAvailable or maxUnavailable, one of them/,
    ],
    [['metrics.podMonitor.enabled=true', 'metrics.serviceMonitor.enabled=true'], /every pod would be asked twice/],
    [
      ['metrics.serviceMonitor.enabled=true', 'service.enabled=false'],
      /metrics\.serviceMonitor needs service\.enabled/,
    ],
    [
      ['metrics.prometheusRule.enabled=true', 'metrics.prometheusRule.disabled={Nothing}'],
      /disabled names "Nothing", but there is no such alert/,
    ],
  ];
  for (const [sets, message] of messages) {
    it(`are refused: ${message.source.replaceAll('\\', '')}`, async () =>
      assert.match(await refused(...sets), message));
  }

  it('are all told at once', async () => {
    const err = await refused(
      'mode=split',
      'secrets.existingSecret=',
      'preStopSleepSeconds=60',
      'autoscaling.minReplicas=20',
    );
    assert.equal(err.match(/^- /gm)?.length, 3);
  });

  it('leave no message of the chart untried', () => {
    const templates = ['_validate.tpl', '_streams.tpl', '_facts.tpl', 'prometheusrule.yaml'].map((file) =>
      readFileSync(join(chart, 'templates', file), 'utf8'),
    );
    const stated = templates.flatMap((text) => [...text.matchAll(/(?:append \$faults|fail) (?:\(printf )?"/g)]);
    assert.equal(stated.length - 1, messages.length - 2, 'one is the joint message; two are tried twice');
  });
});
