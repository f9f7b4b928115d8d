import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { tools, toolsAdvice } from '../../scripts/deploy-tools.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The chart's folder. */
export const chart = join(root, 'helm/domaind');

/**
 * Options of a `describe` that needs tools of `npm run tools`: without them it says so, and under CI it fails, for its
 * tests run and do not find them.
 */
export const withTools = (...paths: readonly string[]): { readonly skip: string | false } => {
  const absent = !paths.every((path) => existsSync(path));
  return { skip: absent && !process.env['CI'] ? toolsAdvice : false };
};

/** The name of every file under ci/, without its ending. */
export const features: readonly string[] = readdirSync(join(chart, 'ci'))
  .filter((file) => file.endsWith('-values.yaml'))
  .map((file) => file.replace(/-values\.yaml$/, ''))
  .sort();

export const featureFile = (feature: string): string => join(chart, 'ci', `${feature}-values.yaml`);

export const readFeature = (feature: string): string => readFileSync(featureFile(feature), 'utf8');

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string } };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[];
  readonly securityContext?: { readonly [key: string]: unknown };
  readonly resources?: { readonly limits?: { readonly memory?: string } };
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly [kind: string]: unknown }[];
  readonly terminationGracePeriodSeconds?: number;
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: { readonly [key: string]: unknown };
}

/** One object of Kubernetes, as far as tests look into it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly labels?: { readonly [label: string]: string };
    readonly annotations?: { readonly [annotation: string]: string };
  };
  readonly data?: { readonly [key: string]: string };
  readonly spec?: {
    readonly template?: { readonly metadata: Manifest['metadata']; readonly spec: PodSpec };
    readonly [key: string]: unknown;
  };
}

/** Runs helm to its end. */
export const helm = (
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  assert.ok(existsSync(tools.helm), toolsAdvice);
  return new Promise((resolve) =>
    execFile(tools.helm, args, { maxBuffer: 32 * 1024 * 1024 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err }),
    ),
  );
};

/** What the chart makes of these arguments of `helm template`. */
export async function render(...args: readonly string[]): Promise<readonly Manifest[]> {
  const { code, out, err } = await helm('template', 'shop', chart, '--namespace', 'books', ...args);
  assert.equal(code, 0, err);
  return parseAllDocuments(out)
    .map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

export const renderFeature = (feature: string, ...args: readonly string[]): Promise<readonly Manifest[]> =>
  render('--values', featureFile(feature), ...args);

/** The one object of that kind, and of that name where it is given. */
export function only(manifests: readonly Manifest[], kind: string, name: string | null = null): Manifest {
  const found = manifests.filter((each) => each.kind === kind && (name === null || each.metadata.name === name));
  const [first] = found;
  assert.ok(first !== undefined && found.length === 1, `${found.length} of ${kind} ${name ?? ''}`);
  return first;
}

/** The pod that an object makes, or is; null where it makes none. */
export const podOf = ({ kind, spec }: Manifest): PodSpec | null =>
  kind === 'Pod' ? (spec as unknown as PodSpec) : (spec?.template?.spec ?? null);

/** All containers of a pod. */
export const containersOf = ({ containers, initContainers = [] }: PodSpec): readonly Container[] => [
  ...initContainers,
  ...containers,
];
