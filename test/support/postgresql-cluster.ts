import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  copyFile,
  cp,
  lstat,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Server settings by name. */
export interface Settings {
  readonly [name: string]: string | number;
}

/** Where the programs of PostgreSQL are. */
export interface Programs {
  readonly postgres: string;
  readonly initdb: string;
  readonly psql: string;
}

/** Who the server runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The folders to look in: those of the PATH, then Debian's, newest first. */
function folders(): readonly string[] {
  const debian = '/usr/lib/postgresql';
  let versions: readonly string[] = [];
  try {
    versions = readdirSync(debian).sort((a, b) => Number(b) - Number(a));
  } catch {
    // Not Debian, or no server there: the PATH has to do.
  }
  return [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((version) => join(debian, version, 'bin'))];
}

/** The path of a program. */
export function find(program: string): string {
  const folder = folders().find((each) => isProgram(join(each, program)));
  if (!folder) throw new Error(`${program} is not on the PATH: install PostgreSQL to run these tests`);
  return join(folder, program);
}

/** The server and its initdb must be of one version, so they are taken from one folder. */
export function findPrograms(): Programs {
  const folder = folders().find((each) => isProgram(join(each, 'initdb')) && isProgram(join(each, 'postgres')));
  if (!folder) throw new Error('postgres and initdb were not found: install the PostgreSQL server to run these tests');
  const psql = join(folder, 'psql');
  return {
    postgres: join(folder, 'postgres'),
    initdb: join(folder, 'initdb'),
    psql: isProgram(psql) ? psql : find('psql'),
  };
}

/** PostgreSQL refuses to run as root: then `postgres` or `nobody` runs it. Null where this process may. */
export async function serverUser(): Promise<User | null> {
  if (process.getuid?.() !== 0) return null;
  const users = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('there is no user for the server to run as');
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * An initialised cluster to copy from: initdb takes a second, a copy 70 ms. Made aside and renamed, so that test files
 * that run at once never see half of one; trusted only where its owner is the user that made it.
 */
export async function template(programs: Programs, owner: User | null): Promise<string> {
  const version = (await run(programs.postgres, ['--version'], null)).replace(/[^0-9.]+/g, '-').replace(/^-|-$/g, '');
  const uid = owner?.uid ?? process.getuid?.() ?? 0;
  const place = join(tmpdir(), `domaind-postgresql-template-${version}-${uid}`);
  const there = await lstat(place).catch(() => null);
  if (there?.isDirectory() && there.uid === uid) return place;
  const aside = await mkdtemp(`${place}-`);
  if (owner) await chown(aside, owner.uid, owner.gid);
  const options = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--wal-segsize=1'];
  await run(programs.initdb, ['-D', aside, ...options], owner);
  await rename(aside, place).catch(() => rm(aside, { recursive: true, force: true }));
  return place;
}

/** With owner and mode kept, for the server insists on both. */
export async function copyCluster(from: string, to: string): Promise<void> {
  if (process.getuid?.() === 0) await run('cp', ['-a', from, to], null);
  else await cp(from, to, { recursive: true });
  await chmod(to, 0o700);
}

/** Settings that make tests quick, and who may log in how. */
export async function configure(cluster: string, port: number, settings: Settings): Promise<void> {
  const all = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    max_wal_size: '256MB',
    min_wal_size: '2MB',
    shared_buffers: '32MB',
    max_connections: 100,
    log_min_messages: 'fatal',
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'`);
  await appendFile(join(cluster, 'postgresql.conf'), `\n${lines.join('\n')}\n`);
  const rules = ['host all postgres 127.0.0.0/8 trust', 'host all all 127.0.0.0/8 scram-sha-256'];
  await writeFile(join(cluster, 'pg_hba.conf'), `${rules.join('\n')}\n`);
}

/** The certificate of test/fixtures/tls, for the server's own eyes: it refuses a key that others may read. */
export async function addCertificate(cluster: string, owner: User | null): Promise<Settings> {
  const place = { cert: join(cluster, 'server.crt'), key: join(cluster, 'server.key') };
  for (const part of ['cert', 'key'] as const) {
    await copyFile(new URL(`../fixtures/tls/server-${part}.pem`, import.meta.url), place[part]);
    await chmod(place[part], 0o600);
    if (owner) await chown(place[part], owner.uid, owner.gid);
  }
  return { ssl: 'on', ssl_cert_file: place.cert, ssl_key_file: place.key };
}

/** What psql prints for `sql`. */
export function psql({ psql: program }: Programs, url: string, sql: string): Promise<string> {
  return run(program, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url, '-f', '-'], null, sql);
}

/** The standard output, trimmed. */
export function run(program: string, args: readonly string[], owner: User | null, input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { cwd: '/', maxBuffer: 64 << 20, ...owner }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program}: ${stderr.trim() || error.message}`, { cause: error }));
      else resolve(stdout.trim());
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
