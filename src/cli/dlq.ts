import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { findSources, openDeadLetters } from './dlq-asked.ts';
import { purgeDeadLetters, replayDeadLetters } from './dlq-change.ts';
import { listDeadLetters, showDeadLetters } from './dlq-show.ts';

const common = {
  config: 'string',
  env: 'string',
  stream: 'string',
  'no-handlers': 'boolean',
  json: 'boolean',
  debug: 'boolean',
} as const;
const filters = { handler: 'string', error: 'string', 'older-than': 'string' } as const;
const changes = { ...common, ...filters, all: 'boolean', 'dry-run': 'boolean' } as const;
const filtered = '[--handler H] [--error E] [--older-than 2h] [--stream S]';

const subcommands = {
  list: {
    run: listDeadLetters,
    usage: `list [--by error] ${filtered} [--limit N]`,
    types: { ...common, ...filters, by: 'string', limit: 'string' },
  },
  show: { run: showDeadLetters, usage: 'show ID… [--stream S] [--payload]', types: { ...common, payload: 'boolean' } },
  replay: {
    run: replayDeadLetters,
    usage: `replay ID… | --all ${filtered} [--rate 50/s] [--edit] [--dry-run]`,
    types: { ...changes, rate: 'string', edit: 'boolean' },
  },
  purge: {
    run: purgeDeadLetters,
    usage: `purge ID… | --older-than 30d | --all --yes ${filtered.replace(' [--older-than 2h]', '')} [--dry-run]`,
    types: { ...changes, yes: 'boolean' },
  },
} as const;

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name);

/** `domaind dlq`: the messages that handlers gave up. No daemon needs to run. */
export const dlq: Command = {
  name: 'dlq',
  summary: 'look at dead letters, and give them to the handler that failed once more',
  help: `usage: domaind dlq ${Object.keys(subcommands).join('|')} [--config FILE] [--env NAME] [--no-handlers] [--json]

${Object.values(subcommands)
  .map(({ usage }) => `  ${usage}`)
  .join('\n')}

  list     what was given up and why, oldest first; --by error: one line a cause, most first
  show     the whole history of one, by its id or its message's; its payload only with --payload
  replay   gives dead letters to the group that failed, and to no other, with their attempts counted anew. Each goes
           once; what is interrupted goes on with the same command. --edit opens the payload in EDITOR
  purge    deletes dead letters for good
  --error is the class of the error, its code, or a part of its text. Durations are like 90s, 10m, 2h, 7d.
  --no-handlers  loads no handlers: all streams named *:dlq, whoever reads them

example: domaind dlq replay --all --handler OrderSummary --error TimeoutError --rate 50/s`,
  async run(argv, io, shutdown) {
    const [name = '', ...rest] = argv;
    if (!isSubcommand(name)) {
      const names = Object.keys(subcommands).join(', ');
      throw new UsageError(`${name === '' ? 'what of the dead letters?' : `there is no dlq ${name}:`} ${names}`);
    }
    const { run, types, usage: ofName } = subcommands[name];
    const usage = `domaind dlq ${ofName}`;
    const given = parseArguments(rest, types, usage);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const all = openDeadLetters(config);
    try {
      const sources = await findSources(config, all, given);
      return await run({ given, subjects: given.positionals, usage, sources, io, shutdown });
    } finally {
      for (const each of all) each.close();
    }
  },
};
