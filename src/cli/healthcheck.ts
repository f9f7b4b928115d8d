import { loadConfig } from '../config/load-config.ts';
import { toError } from '../runtime/failure.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

const usage = 'domaind healthcheck [--config FILE] [--env NAME] [--path /livez] [--port N] [--json]';
const patienceMs = 3_000;

/** `domaind healthcheck`: whether the daemon beside it is alive, for HEALTHCHECK of an image. */
export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'ask the daemon on this machine whether it is alive: exit 0 or 1',
  help: `usage: ${usage}

  --config FILE    domain.toml, which says where the daemon listens
  --path PATH      what to ask: /livez (default), /readyz or /startupz
  --port N         another port than [server.health] port
  --json           what was asked and answered, for machines

example: domaind healthcheck --path /readyz`,
  async run(argv, io) {
    const types = {
      config: 'string',
      env: 'string',
      path: 'string',
      port: 'string',
      json: 'boolean',
      debug: 'boolean',
    } as const;
    const given = parseArguments(argv, types, usage);
    const stated = given.number('port', 1);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const { host, port } = config.server.health;
    const where = `http://${reachable(host)}:${stated ?? port}${given.text('path') ?? '/livez'}`;
    const json = given.flag('json');
    try {
      const answer = await fetch(where, { signal: AbortSignal.timeout(patienceMs) });
      if (json) io.out(JSON.stringify({ asked: where, ok: answer.ok, status: answer.status, error: null }));
      if (answer.ok) return 0;
      io.err(`${where} answered ${answer.status}: ${(await answer.text()).trim()}`);
    } catch (thrown) {
      const error = toError(thrown);
      const why = toError(error.cause ?? error).message;
      if (json) io.out(JSON.stringify({ asked: where, ok: false, status: null, error: why }));
      io.err(`${where} does not answer: ${why}`);
    }
    return 1;
  },
};

/** What listens on all addresses is asked on loopback. */
const reachable = (host: string): string => (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host);
