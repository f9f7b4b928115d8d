import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { openOutboxes } from './outbox-asked.ts';
import { abandonOutbox, purgeOutbox, replayOutbox, retryOutbox } from './outbox-change.ts';
import { listOutbox, showOutbox } from './outbox-show.ts';

const common = { config: 'string', env: 'string', database: 'string', json: 'boolean', debug: 'boolean' } as const;
const filters = { stream: 'string', type: 'string', 'older-than': 'string' } as const;

const subcommands = {
  list: {
    run: listOutbox,
    usage: 'list [--status S,…] [--stream S] [--type T] [--older-than 10m] [--limit N]',
    types: { ...common, ...filters, status: 'string', limit: 'string' },
  },
  show: { run: showOutbox, usage: 'show ID… [--payload]', types: { ...common, payload: 'boolean' } },
  retry: {
    run: retryOutbox,
    usage: 'retry ID… | --all --status failed|abandoned [--stream S] [--type T] [--older-than 10m]',
    types: { ...common, ...filters, status: 'string', all: 'boolean' },
  },
  abandon: { run: abandonOutbox, usage: 'abandon ID…', types: common },
  replay: {
    run: replayOutbox,
    usage: 'replay --since TIME [--until TIME] [--stream S] [--dry-run] [--yes]',
    types: { ...common, since: 'string', until: 'string', stream: 'string', 'dry-run': 'boolean', yes: 'boolean' },
  },
  purge: {
    run: purgeOutbox,
    usage: 'purge --status published|abandoned --older-than 7d',
    types: { ...common, status: 'string', 'older-than': 'string' },
  },
} as const;

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name);

/** `domaind outbox`: its rows, and what an operator may do with them. No daemon needs to run. */
export const outbox: Command = {
  name: 'outbox',
  summary: 'look at the rows of the outbox, bring them back, give them up, publish them again',
  help: `usage: domaind outbox ${Object.keys(subcommands).join('|')} [--config FILE] [--env NAME] [--database NAME] [--json]

${Object.values(subcommands)
  .map(({ usage }) => `  ${usage}`)
  .join('\n')}

  list     how many there are of each status, then those not published, oldest first
  show     all that is known of a row, by its id or its message's; its payload only with --payload
  retry    failed and abandoned rows are published as soon as may be, their tries counted anew
  abandon  pending and failed rows are given up
  replay   what was published since TIME (2h: so long ago, or 2026-11-23T14:00:00Z) is published again, with the same
           message ids: after a Redis that came back empty. Above 1000 rows only with --yes
  purge    deletes rows that were published, or abandoned, so long ago
  Durations are like 90s, 10m, 2h, 7d. A STREAM is one of an aggregate, or a category.

example: domaind outbox retry --all --status abandoned --older-than 10m`,
  async run(argv, io, shutdown) {
    const [name = '', ...rest] = argv;
    if (!isSubcommand(name)) {
      const names = Object.keys(subcommands).join(', ');
      throw new UsageError(`${name === '' ? 'what of the outbox?' : `there is no outbox ${name}:`} ${names}`);
    }
    const { run, types, usage: ofName } = subcommands[name];
    const usage = `domaind outbox ${ofName}`;
    const given = parseArguments(rest, types, usage);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const outboxes = openOutboxes(config, given.text('database'));
    try {
      return await run({ given, subjects: given.positionals, usage, config, outboxes, io, shutdown });
    } finally {
      await Promise.all(outboxes.map((each) => each.close()));
    }
  },
};
