import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import type { Worker } from '../worker.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { serve } from './serve.ts';

const usage = 'domaind dev [--config FILE]';

/** `domaind dev`: the same daemon with nothing installed. */
export const dev: Command = {
  name: 'dev',
  summary: 'run the daemon with nothing installed: everything in memory, messages by HTTP',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for

Databases, brokers and the event store are replaced by those in memory, and [server.ingress] listens on loopback.
Nothing outlives the process.

example: domaind dev`,
  async run(argv, io, shutdown) {
    const given = parseArguments(argv, { config: 'string', env: 'string', debug: 'boolean' }, usage);
    const { config, warnings } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
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
    // Every message on its way, unless the file asks for less.
    logging: { ...logging, level: logging.level === 'info' ? 'debug' : logging.level },
    server: { ...server, ingress: { ...server.ingress, enabled: true, host: '127.0.0.1', token: null } },
  };
}

/** A command that can be pasted: it sends the first command that a handler takes, with the payload it shows. */
function greeting({ plan }: Worker, port: number | null): readonly string[] {
  if (port === null) return [];
  const [first] = plan.flatMap(({ handler }) => requestsFor(handler));
  if (first === undefined) return [`messages are taken at http://127.0.0.1:${port}`];
  const { path, payload } = first;
  return [
    'Send a message from another terminal:',
    '',
    `  curl -i http://127.0.0.1:${port}${path} -H 'content-type: application/json' -d '${payload}'`,
    '',
  ];
}

function requestsFor({ kind, aliases, handles }: LoadedHandler): readonly Request[] {
  if (kind !== 'command_handler') return [];
  return [...handles.keys()]
    .filter((name) => name !== '$any')
    .map((name) => ({
      path: `/commands/${aliases[0]?.replace('Commands:', '') ?? ''}/${name}`,
      payload: JSON.stringify({}).replaceAll("'", "'\\''"),
    }));
}

interface Request {
  readonly path: string;
  readonly payload: string;
}
