import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Part } from '../worker.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { memberIn } from './member.ts';
import { planJson } from './plan-json.ts';
import { followSupervisor, supervise, supervisedBy, watchedFiles } from './supervise.ts';

const usage =
  'domaind server [--config FILE] [--env NAME] [--workers N] [--only relay|subscriptions] [--watch] [--until-idle] [--dry-run [--json]]';

const mostWorkers = 256;

/** `domaind server`: the daemon. */
export const server: Command = {
  name: 'server',
  summary: 'run the daemon: relay the outbox, feed the handlers',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --workers N      so many processes, restarted when they crash, with one address for health and metrics;
                   default: [server] workers
  --only PART      relay: no handlers. subscriptions: no relay
  --watch          start again when domain.toml, a handler or a schema changes
  --until-idle     handle what is there, then exit
  --dry-run        connect, check, print the plan, exit; listens nowhere and handles nothing
    --json         the plan for machines

example: domaind server --config domain.toml --env production`,
  async run(argv, io, shutdown) {
    const types = {
      config: 'string',
      env: 'string',
      only: 'string',
      workers: 'string',
      watch: 'boolean',
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
    const member = memberIn(io.environment);
    if (given.flag('watch') && member === null) {
      if (io.environment[supervisedBy] === undefined) return supervise(watchedFiles(config), io, shutdown);
      followSupervisor();
    }
    const [untilIdle, dryRun, json] = [given.flag('until-idle'), given.flag('dry-run'), given.flag('json')];
    if (json && !dryRun)
      throw new UsageError(`--json is for --dry-run: the daemon's log is JSON already\nusage: ${usage}`);
    const show = json ? planJson : null;
    const workers = given.number('workers', 1) ?? config.server.workers;
    if (workers > mostWorkers) throw new UsageError(`--workers must not be above ${mostWorkers}\nusage: ${usage}`);
    if (workers > 1 && !dryRun && member === null) {
      const { runWorkers } = await import('./workers.ts');
      return runWorkers(config, workers, io, shutdown);
    }
    const { serve } = await import('./serve.ts');
    return serve({ config, warnings, parts, untilIdle, dryRun, show, member, greeting: () => [] }, io, shutdown);
  },
};

function partsOf(only: string | null): readonly Part[] {
  if (only === null) return ['relay', 'subscriptions'];
  if (only === 'relay' || only === 'subscriptions') return [only];
  throw new UsageError(`--only takes relay or subscriptions, got "${only}"\nusage: ${usage}`);
}
