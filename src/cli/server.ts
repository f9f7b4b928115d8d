import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Part } from '../worker.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { planJson } from './plan-json.ts';
import { serve } from './serve.ts';

const usage =
  'domaind server [--config FILE] [--env NAME] [--only relay|subscriptions] [--until-idle] [--dry-run [--json]]';

/** `domaind server`: the daemon. */
export const server: Command = {
  name: 'server',
  summary: 'run the daemon: relay the outbox, feed the handlers',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --only PART      relay: no handlers. subscriptions: no relay
  --until-idle     handle what is there, then exit
  --dry-run        connect, check, print the plan, exit; listens nowhere and handles nothing
    --json         the plan for machines

example: domaind server --config domain.toml --env production`,
  async run(argv, io, shutdown) {
    const types = {
      config: 'string',
      env: 'string',
      only: 'string',
      'until-idle': 'boolean',
      'dry-run': 'boolean',
      json: 'boolean',
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
    const [untilIdle, dryRun, json] = [given.flag('until-idle'), given.flag('dry-run'), given.flag('json')];
    if (json && !dryRun)
      throw new UsageError(`--json is for --dry-run: the daemon's log is JSON already\nusage: ${usage}`);
    const show = json ? planJson : null;
    return serve({ config, warnings, parts, untilIdle, dryRun, show, greeting: () => [] }, io, shutdown);
  },
};

function partsOf(only: string | null): readonly Part[] {
  if (only === null) return ['relay', 'subscriptions'];
  if (only === 'relay' || only === 'subscriptions') return [only];
  throw new UsageError(`--only takes relay or subscriptions, got "${only}"\nusage: ${usage}`);
}
