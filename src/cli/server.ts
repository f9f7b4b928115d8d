import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Part } from '../worker.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { serve } from './serve.ts';

const usage = 'domaind server [--config FILE] [--env NAME] [--only relay|subscriptions] [--until-idle] [--dry-run]';

/** `domaind server`: the daemon. */
export const server: Command = {
  name: 'server',
  summary: 'run the daemon: relay the outbox, feed the handlers',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --only PART      relay: no handlers. subscriptions: no relay
  --until-idle     handle what is there, then exit
  --dry-run        connect, check, print the plan, exit

example: domaind server --config domain.toml --env production`,
  async run(argv, io, shutdown) {
    const types = {
      config: 'string',
      env: 'string',
      only: 'string',
      'until-idle': 'boolean',
      'dry-run': 'boolean',
      debug: 'boolean',
    } as const;
    const given = parseArguments(argv, types, usage);
    const parts = partsOf(given.text('only'));
    const { config, warnings } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const [untilIdle, dryRun] = [given.flag('until-idle'), given.flag('dry-run')];
    return serve({ config, warnings, parts, untilIdle, dryRun, greeting: () => [] }, io, shutdown);
  },
};

function partsOf(only: string | null): readonly Part[] {
  if (only === null) return ['relay', 'subscriptions'];
  if (only === 'relay' || only === 'subscriptions') return [only];
  throw new UsageError(`--only takes relay or subscriptions, got "${only}"\nusage: ${usage}`);
}
