// npm run test:mutants: plants one bug after the other in a copy of the sources, and sees whether its check fails.
//   npm run test:mutants                     all of them
//   npm run test:mutants -- 'no reclaim'     those whose names contain it
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';
import { mutants } from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What a check that hangs is ended after: to hang is to fail, too. */
const patienceMs = 180_000;
/** Once a test of it has failed, a check has so long to end in order. */
const lastWordsMs = 3_000;
/** What is installed, built or git's own is not copied. */
const foreign = new Set(['.git', 'node_modules', 'dist', '.dist-new', 'coverage']);

/** How a check went. */
interface Verdict {
  readonly failed: readonly string[];
  readonly passed: number;
  readonly hung: boolean;
  readonly code: number | null;
  readonly output: string;
}

/** The project as it stands, beside itself: what is planted there, nobody else sees. */
function copyOfProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-mutant-'));
  for (const each of readdirSync(root)) {
    if (!foreign.has(each)) cpSync(join(root, each), join(folder, each), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Throws where the piece does not stand there exactly once: the table has fallen behind the sources. */
function plant(folder: string, { name, edits }: Mutant): void {
  for (const { file, from, to } of edits) {
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    const found = text.split(from).length - 1;
    if (found !== 1) throw new Error(`"${name}": ${file} has the piece ${found} times\n${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  }
}

function runCheck(folder: string, { file, tests }: Mutant['check']): Promise<Verdict> {
  const pattern = tests.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const options = ['--conditions=domaind-source', '--import=tsx', '--test', '--test-reporter=tap'];
  const child = spawn(
    process.execPath,
    [...options, ...(tests === '' ? [] : [`--test-name-pattern=${pattern}`]), file],
    { cwd: folder, env: { ...process.env, NODE_TEST_CONTEXT: undefined }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  let output = '';
  let hung = false;
  // The runner ends its files with it; killed outright, it would leave them behind.
  const stop = () => {
    child.kill('SIGTERM');
    setTimeout(end, 5_000).unref();
  };
  let last: NodeJS.Timeout | null = null;
  child.stdout.on('data', (chunk) => {
    output += chunk;
    // What is planted may well keep the rest of it from ending.
    if (output.includes("failureType: 'testCodeFailure'")) last ??= setTimeout(stop, lastWordsMs);
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const limit = setTimeout(() => {
    hung = true;
    stop();
  }, patienceMs);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(limit);
      if (last !== null) clearTimeout(last);
      process.off('exit', end);
      resolve({ ...outcomes(output), hung, code, output });
    });
  });
}

/** Of tests alone: neither of suites, nor of files and hooks that could not do their part, nor of tests that were passed over. */
function outcomes(tap: string): Pick<Verdict, 'failed' | 'passed'> {
  const failed: string[] = [];
  let passed = 0;
  const lines = tap.split('\n');
  for (const [index, line] of lines.entries()) {
    const [, not, name = ''] = /^\s*(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (name === '' || name.includes('# SKIP') || name.endsWith('.ts')) continue;
    const about = lines.slice(index + 1, index + 7).join('\n');
    if (about.includes("type: 'suite'")) continue;
    if (not === undefined) passed += 1;
    else if (about.includes("failureType: 'testCodeFailure'")) failed.push(name);
  }
  return { failed, passed };
}

async function main(): Promise<number> {
  const [wanted = ''] = process.argv.slice(2);
  const chosen = mutants.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) {
    console.error(`There is no planted bug "${wanted}". There are: ${mutants.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const startedAt = performance.now();
  const bad: string[] = [];
  const sound = new Map<string, boolean>();
  const width = Math.max(...chosen.map(({ name }) => name.length));
  for (const mutant of chosen) {
    const { name, check } = mutant;
    const folder = copyOfProject();
    try {
      // A check that fails without the bug would catch anything.
      const key = JSON.stringify(check);
      if (!sound.has(key)) {
        const control = await runCheck(folder, check);
        sound.set(key, control.code === 0 && control.passed > 0);
        if (sound.get(key) === false) console.log(control.output.slice(-4_000));
      }
      plant(folder, mutant);
      const at = performance.now();
      const { failed, hung, output } = await runCheck(folder, check);
      const took = `${((performance.now() - at) / 1_000).toFixed(1)} s`;
      const caught = sound.get(key) === true && (failed.length > 0 || hung);
      if (!caught) {
        bad.push(name);
        console.log(output.slice(-4_000));
      }
      const by = hung && failed.length === 0 ? `${check.tests} (never ends)` : (failed[0] ?? '');
      const said = sound.get(key) === true ? (caught ? 'caught' : 'MISSED') : 'CHECK FAILS WITHOUT IT';
      console.log(`${name.padEnd(width)}  ${said}  ${took.padStart(7)}  ${check.file}: ${by}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  console.log(`\n${chosen.length - bad.length} of ${chosen.length} planted bugs caught in ${minutes} min`);
  if (bad.length > 0) console.log(`not caught: ${bad.join(', ')}`);
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main();
