import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const psycopg = 'psycopg[binary]==3.3.9';

/** A Python that has psycopg: the machine's, or one made for tests with it installed from the package index. */
export async function pythonWithPsycopg(): Promise<string> {
  if (await imports('python3')) return 'python3';
  const folder = join(tmpdir(), `domaind-python-${psycopg.replace(/\W/g, '_')}`);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python) && (await imports(python))) return python;
  await run('python3', ['-m', 'venv', '--clear', folder]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', psycopg]);
  return python;
}

const imports = (python: string): Promise<boolean> =>
  run(python, ['-c', 'import psycopg']).then(
    () => true,
    () => false,
  );
