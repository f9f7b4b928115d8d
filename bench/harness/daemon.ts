import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Place } from './place.ts';
import type { Environment, Program } from './program.ts';
import { startProgram } from './program.ts';

export interface DaemonSettings {
  /** Null for both. */
  readonly only: 'relay' | 'subscriptions' | null;
  /** A file of bench/handlers, or an absolute path; null for none. */
  readonly handlers: string | null;
  /** Rows of one batch of the relay. */
  readonly batch?: number;
  readonly poolSize?: number;
  /** Whether writers wake the relay. */
  readonly hint?: boolean;
  /** How long published rows are kept. */
  readonly retentionHours?: number;
  readonly profile?: 'production' | 'batch';
  readonly environment?: Environment;
}

let started = 0;

/** Starts the daemon as its users do: from its build, with a domain.toml. */
export async function startDaemon(place: Place, settings: DaemonSettings): Promise<Program> {
  const { options, folder, environment } = place;
  started += 1;
  const config = join(folder, `domain-${started}.toml`);
  await writeFile(config, domainToml(settings));
  const only = settings.only === null ? [] : ['--only', settings.only];
  const profiling = options.cpuProfiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.cpuProfiles}`];
  if (options.cpuProfiles !== null) await mkdir(options.cpuProfiles, { recursive: true });
  return startProgram('domaind', [...profiling, options.daemon, 'server', '--config', config, ...only], {
    ...environment,
    ...settings.environment,
    NODE_ENV: 'production',
  });
}

/** Servers are named by DATABASE_URL and REDIS_URL. */
export function domainToml({
  handlers,
  batch = 500,
  poolSize = 5,
  profile = 'production',
  hint = true,
  retentionHours = 168,
}: DaemonSettings): string {
  const path = handlers === null || handlers.startsWith('/') ? handlers : handlerFile(handlers);
  return `
name = "bench"
enable_outbox = true
${path === null ? '' : `[handlers]\npath = ${JSON.stringify(path)}`}
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
pool_size = ${poolSize}
max_overflow = 0
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[outbox]
messages_per_tick = ${batch}
hint = ${hint}
[outbox.cleanup]
published_retention_hours = ${retentionHours}
[server]
default_subscription_type = "stream"
default_subscription_profile = "${profile}"
[server.health]
port = 0
[logging]
format = "json"
level = "info"
`;
}

const handlerFile = (name: string): string => fileURLToPath(new URL(`../handlers/${name}`, import.meta.url));
