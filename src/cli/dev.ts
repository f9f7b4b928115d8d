import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import type { Worker } from '../worker.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { followSupervisor, supervise, supervisedBy, watchedFiles } from './supervise.ts';

const usage = 'domaind dev [--config FILE]';

/** `domaind dev`: the same daemon with nothing installed. */
export const dev: Command = {
  name: 'dev',
  summary: 'run the daemon with nothing installed: everything in memory, messages by HTTP',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for

Databases, brokers and the event store are replaced by those in memory, and [server.ingress] listens on loopback.
Nothing outlives the process. A change of the file or of a handler starts it again.

example: domaind dev`,
  async run(argv, io, shutdown) {
    const given = parseArguments(argv, { config: 'string', env: 'string', debug: 'boolean' }, usage);
    const { config, warnings } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    if (io.environment[supervisedBy] === undefined) {
      return supervise(watchedFiles(config), io, shutdown);
    }
    followSupervisor();
    // The supervisor needs none of this, and is the sooner done.
    const { serve } = await import('./serve.ts');
    const options = { parts: ['relay', 'subscriptions'] as const, untilIdle: false, dryRun: false };
    return serve({ config: embedded(config), warnings, ...options, greeting }, io, shutdown);
  },
};

/** The configuration with everything in memory, and messages taken on loopback. */
function embedded(config: Config): Config {
  const { databases, brokers, logging, server } = config;
  return {
    ...config,
    databases: new Map([...databases.keys()].map((name) => [name, { provider: 'memory', name }])),
    brokers: new Map([...brokers.keys()].map((name) => [name, { provider: 'inline', name }])),
    eventStore: { provider: 'memory' },
    idempotency: { ...config.idempotency, redisUrl: null },
    // Every message on its way, unless the file asks for less.
    logging: { ...logging, level: logging.level === 'info' ? 'debug' : logging.level },
    server: { ...server, ingress: { ...server.ingress, enabled: true, host: '127.0.0.1', token: null } },
  };
}

/** Commands that can be pasted: one for each message that a handler shows an example of. */
function greeting({ plan }: Worker, port: number | null): readonly string[] {
  if (port === null) return [];
  const address = `http://127.0.0.1:${port}`;
  const requests = plan.flatMap(({ handler }) => requestsFor(handler));
  const shown = requests.filter(({ payload }) => payload !== null);
  const lines = (shown.length > 0 ? shown : requests.slice(0, 1)).map(
    ({ path, payload }) => `  curl -i ${address}${path} -H 'content-type: application/json' -d '${payload ?? '{}'}'`,
  );
  if (lines.length === 0) return [`Messages are taken at ${address}`, ''];
  return ['Send a message from another terminal:', '', ...lines, ''];
}

interface Request {
  readonly path: string;
  /** As a shell takes it between single quotes; null where the handler shows none. */
  readonly payload: string | null;
}

function requestsFor({ kind, aliases, handles, streams, examples }: LoadedHandler): readonly Request[] {
  const payloadOf = (name: string) => {
    const example = examples.get(name);
    return example === undefined ? null : JSON.stringify(example).replaceAll("'", "'\\''");
  };
  if (kind === 'subscriber')
    return streams.map((stream) => ({ path: `/streams/${stream}`, payload: payloadOf('$any') }));
  if (kind !== 'command_handler') return [];
  const category = aliases[0]?.replace('Commands:', '') ?? '';
  return [...handles.keys()]
    .filter((name) => name !== '$any')
    .map((name) => ({ path: `/commands/${category}/${name}`, payload: payloadOf(name) }));
}
