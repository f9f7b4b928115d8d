import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const inside = 'test/failpoints/inside';

/** A build of the daemon whose providers are the struck ones. Nothing in src knows of it. */
export interface TestBuild {
  readonly folder: string;
  /** Its main.js. */
  readonly entry: string;
  remove(): void;
}

/** Types are checked elsewhere; so this takes a second or two. */
const project = (folder: string) => ({
  extends: join(root, 'tsconfig.json'),
  compilerOptions: { rootDir: root, outDir: folder, noEmit: false, noCheck: true, types: [] },
  include: [join(root, 'src'), join(root, inside)],
  exclude: [join(root, 'src/cli/template')],
});

export function makeTestBuild(): TestBuild {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-test-build-'));
  const config = join(folder, 'tsconfig.json');
  writeFileSync(config, JSON.stringify(project(folder)));
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--project', config], {
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the test build has failed');
  replaceProviders(folder);
  for (const each of ['config', 'node_modules']) symlinkSync(join(root, each), join(folder, each));
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  return { folder, entry: join(folder, 'src/main.js'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** In the place of the providers stand those that have points; the real ones stand beside them. */
function replaceProviders(folder: string): void {
  const providers = join(folder, 'src/providers.js');
  const struck = join(folder, inside, 'struck-providers.js');
  const text = readFileSync(struck, 'utf8');
  const [from, to] = ['/src/providers.js', '/src/real-providers.js'];
  if (text.split(from).length !== 2) throw new Error(`${inside}/struck-providers.ts imports the real providers once`);
  writeFileSync(struck, text.replace(from, to));
  cpSync(providers, join(folder, 'src/real-providers.js'));
  writeFileSync(providers, `export { openProviders } from '../${inside}/struck-providers.js';\n`);
}
