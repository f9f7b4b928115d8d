// @ts-check
// npm run tools: what the tests of the chart, the alerts and the Go example need, built once through the Go module proxy and
// kept outside of the tree: helm, helm-unittest, the schemas of the manifests, the example's binary. promtool comes with
// Debian's prometheus.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { install, mayInstall } from './servers.mjs';

const versions = {
  helm: 'v4.3.1',
  helmUnittest: 'v1.1.2',
  kubernetes: 'v1.36.1',
  keda: 'v2.21.0',
  prometheusOperator: 'v0.85.0',
};

/** Where the tools are kept: `$DOMAIND_TOOLS`, else in the user's cache. */
export const toolsFolder =
  process.env['DOMAIND_TOOLS'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'domaind-tools');

/** @param {string} name */
const kept = (name) => join(toolsFolder, name);

const goExample = fileURLToPath(new URL('../examples/with-go', import.meta.url));
/** Of what the example is built from: its binary is made anew when that has changed. */
const goExampleHash = ['main.go', 'go.mod', 'go.sum']
  .reduce((hash, file) => hash.update(readFileSync(join(goExample, file))), createHash('sha256'))
  .digest('hex');

/** The tools, by the path at which each is to stand. */
export const tools = {
  helm: kept(`helm-${versions.helm}`),
  helmUnittest: kept(`helm-unittest-${versions.helmUnittest}`),
  kubernetes: kept(`kubernetes-${versions.kubernetes}.json`),
  keda: kept(`keda-${versions.keda}`),
  monitoring: kept(`prometheus-operator-${versions.prometheusOperator}`),
  goExample: kept(`with-go-${goExampleHash.slice(0, 12)}`),
};

/** What to do where a tool is missing. */
export const toolsAdvice = 'Run `npm run tools` once: it builds helm and fetches the schemas of Kubernetes with Go.';

/** The path of promtool, or null where there is none. */
export const promtool = () =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'promtool'))
    .find((file) => existsSync(file)) ?? null;

/**
 * Runs go; its output, or the end of this process with what it complained of.
 * @param {readonly string[]} args
 * @param {{ readonly cwd?: string, readonly env?: NodeJS.ProcessEnv }} options
 */
function go(args, { cwd = tmpdir(), env = {} } = {}) {
  const { status, stdout, error } = spawnSync('go', args, {
    cwd,
    env: { ...process.env, CGO_ENABLED: '0', ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error !== undefined) refuse('Go is needed to build helm, and there is none on the PATH: see https://go.dev/dl.');
  if (status !== 0) refuse(`go ${args.join(' ')} has failed.`);
  return stdout;
}

/**
 * Fetches a module; the folder with its files.
 * @param {string} module
 */
const fetched = (module) => /** @type {{ Dir: string }} */ (JSON.parse(go(['mod', 'download', '-json', module]))).Dir;

const lean = ['-trimpath', '-ldflags=-s -w'];

/** @type {readonly { readonly path: string, readonly make: (at: string) => void }[]} */
const recipes = [
  {
    path: tools.helm,
    make(at) {
      const folder = mkdtempSync(join(toolsFolder, 'build-'));
      go(['install', ...lean, `helm.sh/helm/v4/cmd/helm@${versions.helm}`], { env: { GOBIN: folder } });
      renameSync(join(folder, 'helm'), at);
      rmSync(folder, { recursive: true });
    },
  },
  {
    // Its module replaces others, which `go install` refuses of anything but the main module.
    path: tools.helmUnittest,
    make(at) {
      const folder = mkdtempSync(join(toolsFolder, 'build-'));
      const source = fetched(`github.com/helm-unittest/helm-unittest@${versions.helmUnittest}`);
      cpSync(source, folder, { recursive: true });
      spawnSync('chmod', ['-R', 'u+w', folder]);
      go(['build', ...lean, '-buildvcs=false', '-o', at, './cmd/helm-unittest'], { cwd: folder });
      rmSync(folder, { recursive: true });
    },
  },
  {
    path: tools.kubernetes,
    make: (at) =>
      cpSync(join(fetched(`k8s.io/kubernetes@${versions.kubernetes}`), 'api/openapi-spec/swagger.json'), at),
  },
  {
    path: tools.keda,
    make: (at) =>
      cpSync(join(fetched(`github.com/kedacore/keda/v2@${versions.keda}`), 'config/crd/bases'), at, {
        recursive: true,
      }),
  },
  {
    path: tools.monitoring,
    make(at) {
      const module = `github.com/prometheus-operator/prometheus-operator@${versions.prometheusOperator}`;
      cpSync(join(fetched(module), 'example/prometheus-operator-crd'), at, { recursive: true });
    },
  },
  {
    path: tools.goExample,
    make: (at) => void go(['build', ...lean, '-buildvcs=false', '-o', at, '.'], { cwd: goExample }),
  },
];

/**
 * @param {string} sentence
 * @returns {never}
 */
function refuse(sentence) {
  console.error(sentence);
  process.exit(1);
}

function provide() {
  mkdirSync(toolsFolder, { recursive: true });
  for (const { path, make } of recipes) {
    if (existsSync(path)) continue;
    console.error(`Making ${path} (once).`);
    const unfinished = `${path}.${process.pid}`;
    make(unfinished);
    renameSync(unfinished, path);
  }
  const prometheus = { program: 'promtool', packageName: 'prometheus', means: 'promtool' };
  if (promtool() === null && !(mayInstall() && install([prometheus])))
    refuse('promtool is needed: it comes with Prometheus.');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) provide();
