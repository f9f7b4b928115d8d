import { loadConfig } from '../config/load-config.ts';
import { unmatchedSubscriptions } from '../config/resolve.ts';
import { systemClock } from '../runtime/clock.ts';
import { ConfigError } from '../runtime/errors.ts';
import { loadDomain } from '../worker/load-domain.ts';
import { planFor } from '../worker/plan.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';

const usage = 'domaind check [--config FILE] [--env NAME] [--json]';

/** `domaind check`: configuration, handlers and schemas, offline. */
export const check: Command = {
  name: 'check',
  summary: 'check domain.toml, handlers and schemas, offline',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --json           for machines

Exits with 78 where there is a fault. Handler modules are imported, so their own code runs.

example: domaind check --env production`,
  async run(argv, io) {
    const types = { config: 'string', env: 'string', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const json = given.flag('json');
    try {
      return await checkAll({ path: given.text('config'), env: given.text('env') }, json, io);
    } catch (error) {
      if (!json || !(error instanceof ConfigError)) throw error;
      io.out(JSON.stringify({ faults: error.faults, warnings: [] }));
      return 78;
    }
  },
};

async function checkAll(
  asked: { readonly path: string | null; readonly env: string | null },
  json: boolean,
  io: Io,
): Promise<number> {
  const { config, warnings } = await loadConfig({ ...asked, cwd: io.cwd, environment: io.environment });
  const { handlers, warnings: ofHandlers } = await loadDomain(config, { clock: systemClock });
  planFor(config, handlers);
  const names = handlers.flatMap(({ name, aliases }) => [name, ...aliases]);
  const all = [...warnings, ...ofHandlers, ...unmatchedSubscriptions(config.server.subscriptions, names)];
  if (json) io.out(JSON.stringify({ faults: [], warnings: all }));
  else {
    for (const warning of all) io.err(`warning: ${warning}`);
    io.out(`${config.file}: sound, with ${handlers.length} handler${handlers.length === 1 ? '' : 's'}`);
  }
  return 0;
}
