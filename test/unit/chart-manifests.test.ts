import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse as parseToml } from 'smol-toml';
import { parse } from 'yaml';
import { tools } from '../../scripts/deploy-tools.mjs';
import type { Manifest, PodSpec } from '../support/chart.ts';
import {
  chart,
  containersOf,
  featureFile,
  features,
  helm,
  only,
  podOf,
  renderFeature,
  withTools,
} from '../support/chart.ts';
import { createManifestCheck } from '../support/manifest-schemas.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Everything that each file under ci/ makes. */
const rendered = new Map<string, readonly Manifest[]>();

const needs = withTools(tools.helm, tools.kubernetes, tools.keda, tools.monitoring);

describe('the chart', needs, () => {
  before(async () => {
    const all = await Promise.all(features.map(async (feature) => [feature, await renderFeature(feature)] as const));
    for (const [feature, manifests] of all) rendered.set(feature, manifests);
  });

  const manifestsOf = (feature: string) => rendered.get(feature) ?? assert.fail(`no ${feature}`);
  const everything = () => [...rendered.values()].flat();
  const pods = (): readonly PodSpec[] => everything().flatMap((each) => podOf(each) ?? []);
  const daemons = () =>
    everything()
      .filter(({ kind }) => kind === 'Deployment')
      .flatMap((each) => podOf(each) ?? []);

  it('passes helm lint, strictly, with every file of values', async () => {
    const lints = features.map(async (feature) => {
      const { code, out, err } = await helm('lint', '--strict', chart, '--values', featureFile(feature));
      assert.equal(code, 0, `${feature}\n${out}${err}`);
    });
    await Promise.all(lints);
  });

  it('makes only objects that Kubernetes, KEDA and the Prometheus Operator know, key by key', () => {
    const check = createManifestCheck();
    const faults = [...rendered].flatMap(([feature, manifests]) =>
      manifests.flatMap(check).map((fault) => `${feature}: ${fault}`),
    );
    assert.deepEqual(faults, []);
    const kinds = new Set(everything().map(({ kind }) => kind));
    assert.deepEqual(
      [...kinds].sort(),
      [
        ...['ConfigMap', 'Deployment', 'HorizontalPodAutoscaler', 'Job', 'NetworkPolicy', 'Pod', 'PodDisruptionBudget'],
        ...['PodMonitor', 'PrometheusRule', 'ScaledObject', 'Service', 'ServiceAccount', 'ServiceMonitor'],
      ].sort(),
    );
  });

  it('would be caught at a key that there is not', () => {
    const check = createManifestCheck();
    const deployment = only(manifestsOf('default'), 'Deployment');
    const pod = podOf(deployment);
    assert.ok(pod);
    const planted = {
      ...deployment,
      spec: { ...deployment.spec, template: { ...deployment.spec?.template, spec: { ...pod, gracePeriod: 3 } } },
    };
    assert.match(check(planted as unknown as Manifest).join(), /gracePeriod/);
    assert.match(check({ ...deployment, kind: 'Deploymint' }).join(), /no schema/);
    const scaled = only(manifestsOf('keda'), 'ScaledObject');
    assert.match(check({ ...scaled, spec: { ...scaled.spec, minReplicas: 1 } }).join(), /minReplicas/);
  });

  it('gives every object a name of its own', () => {
    for (const [feature, manifests] of rendered) {
      const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.deepEqual(
        names.filter((name, index) => names.indexOf(name) !== index),
        [],
        feature,
      );
    }
  });

  it('meets the restricted profile of pod security, in every container', () => {
    assert.ok(pods().length > features.length);
    for (const pod of pods()) {
      assert.equal(pod.automountServiceAccountToken, false);
      const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {};
      assert.deepEqual([runAsNonRoot, runAsUser, seccompProfile], [true, 65532, { type: 'RuntimeDefault' }]);
      for (const { securityContext } of containersOf(pod)) {
        assert.deepEqual(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
      const permitted = ['configMap', 'emptyDir', 'secret', 'persistentVolumeClaim', 'image', 'name'];
      const kinds = (pod.volumes ?? []).flatMap((volume) => Object.keys(volume));
      assert.deepEqual(
        kinds.filter((kind) => !permitted.includes(kind)),
        [],
      );
    }
  });

  it('gives the process three quarters of its memory, unless NODE_OPTIONS is stated', () => {
    const options = (pod: PodSpec | null | undefined) =>
      pod?.containers[0]?.env?.filter(({ name }) => name === 'NODE_OPTIONS').map(({ value }) => value);
    const relay = podOf(only(manifestsOf('split'), 'Deployment', 'shop-domaind-relay'));
    const consumers = podOf(only(manifestsOf('split'), 'Deployment', 'shop-domaind-consumers'));
    assert.deepEqual(
      [options(relay), options(consumers)],
      [['--max-old-space-size=768'], ['--max-old-space-size=384']],
    );
    const stated = podOf(only(manifestsOf('secret-files'), 'Deployment'));
    assert.deepEqual(options(stated), ['--max-old-space-size=256']);
  });

  it('states no number of pods where something scales them', () => {
    for (const feature of ['keda', 'hpa']) {
      const scaler = manifestsOf(feature).find(({ kind }) =>
        ['ScaledObject', 'HorizontalPodAutoscaler'].includes(kind),
      );
      const target = (scaler?.spec?.['scaleTargetRef'] ?? assert.fail(feature)) as { readonly name: string };
      assert.equal(only(manifestsOf(feature), 'Deployment', target.name).spec?.['replicas'], undefined);
    }
    assert.equal(only(manifestsOf('keda'), 'Deployment', 'shop-domaind-relay').spec?.['replicas'], 1);
  });

  it('lets pods outlive their drain', () => {
    for (const pod of daemons()) assert.ok((pod.terminationGracePeriodSeconds ?? 0) >= 25 + 5);
  });

  it('migrates before the chart is there, with what exists before it', () => {
    const job = only(manifestsOf('default'), 'Job');
    assert.match(job.metadata.annotations?.['helm.sh/hook'] ?? '', /^pre-install,pre-upgrade$/);
    const pod = podOf(job);
    assert.equal(pod?.serviceAccountName, 'default');
    const mounted = pod?.volumes?.flatMap(
      ({ configMap }) => (configMap as { readonly name: string } | undefined) ?? [],
    );
    const early = manifestsOf('default').filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] !== undefined);
    for (const { name } of mounted ?? []) only(early, 'ConfigMap', name);
    assert.deepEqual(
      containersOf(pod ?? assert.fail()).map(({ args }) => args?.join(' ')),
      ['db setup', 'subscriptions setup'],
    );
  });

  it('migrates by a plain Job whose name changes with the image, for those who only render', async () => {
    const names = await Promise.all(
      ['1.0.0', '1.0.0', '1.1.0'].map(async (tag) => {
        const { metadata } = only(await renderFeature('argo', '--set', `image.tag=${tag}`), 'Job');
        assert.equal(metadata.annotations?.['helm.sh/hook'], undefined);
        return metadata.name;
      }),
    );
    assert.equal(names[0], names[1]);
    assert.notEqual(names[0], names[2]);
  });

  it('passes domain.toml on to the byte', () => {
    const values: { readonly config: string } = parse(text('helm/domaind/ci/default-values.yaml'));
    const stated = only(manifestsOf('default'), 'ConfigMap', 'shop-domaind').data?.['domain.toml'] ?? '';
    assert.equal(stated, values.config);
    assert.equal(parseToml(stated)['name'], 'bookshelf');
  });

  it('keeps templates out of handlers and alerts', () => {
    const files = only(manifestsOf('handlers-config-map'), 'ConfigMap', 'shop-domaind-handlers').data;
    assert.match(files?.['order.js'] ?? '', /\{\{ came \}\}/);
    const { groups } = only(manifestsOf('monitoring'), 'PrometheusRule').spec as {
      readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
    };
    const all: typeof groups = parse(text('helm/domaind/files/alerts.yaml')).groups;
    const named = (list: typeof groups) => list.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    assert.deepEqual(
      named(groups),
      named(all).filter((alert) => alert !== 'DomaindDown'),
    );
  });
});
