import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Daemon } from './daemon.ts';
import { runDomaind, startDaemon } from './daemon.ts';

/** Daemons that only relay, each a process of its own. */
export interface RelayProcesses {
  start(): Daemon;
  /** Of all so far. */
  readonly all: readonly Daemon[];
  stop(): Promise<void>;
}

const settings = `
name = "bookshelf"
enable_outbox = true

[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"

[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
socket_timeout = 2

[outbox]
messages_per_tick = 50
lease_ttl_seconds = 3

[outbox.retry]
max_attempts = 1

[server.health]
port = 0

[logging]
format = "json"
level = "info"
`;

/** Sets the database up, cut into so many shards. */
export async function relayProcesses(databaseUrl: string, redisUrl: string, shards: number): Promise<RelayProcesses> {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-relays-'));
  const config = join(folder, 'domain.toml');
  writeFileSync(config, settings);
  const environment = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl };
  const { code, err } = await runDomaind(['db', 'setup', '--shards', String(shards), '--config', config], environment);
  if (code !== 0) throw new Error(`db setup ended with ${code}: ${err}`);
  const all: Daemon[] = [];
  return {
    all,
    start() {
      const daemon = startDaemon(['server', '--only', 'relay', '--config', config], environment);
      all.push(daemon);
      return daemon;
    },
    async stop() {
      for (const daemon of all) daemon.signal('SIGKILL');
      await Promise.all(all.map(({ ended }) => ended));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
