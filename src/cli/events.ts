import { loadConfig } from '../config/load-config.ts';
import { UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { openStore } from './events-asked.ts';
import { readEvents, tailEvents } from './events-read.ts';
import { eventHistory, traceEvents } from './events-trace.ts';

const common = { config: 'string', env: 'string', json: 'boolean', payload: 'boolean', debug: 'boolean' } as const;

const subcommands = {
  read: {
    run: readEvents,
    usage: 'read STREAM|CATEGORY|$all [--from N] [--limit N] [--type T] [--payload]',
    types: { ...common, from: 'string', limit: 'string', type: 'string' },
  },
  tail: {
    run: tailEvents,
    usage: 'tail [STREAM|CATEGORY|$all] [--lines N] [--no-follow] [--payload]',
    types: { ...common, lines: 'string', 'no-follow': 'boolean' },
  },
  history: { run: eventHistory, usage: 'history CATEGORY ID [--payload]', types: common },
  trace: { run: traceEvents, usage: 'trace CORRELATION_ID [--payload]', types: common },
} as const;

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name);

/** `domaind events`: what is in the event store. No daemon needs to run, and nothing is changed. */
export const events: Command = {
  name: 'events',
  summary: 'read the event store: a stream, a category, the life of an aggregate, what a request brought about',
  help: `usage: domaind events ${Object.keys(subcommands).join('|')} [--config FILE] [--env NAME] [--json]

${Object.values(subcommands)
  .map(({ usage }) => `  ${usage}`)
  .join('\n')}

  read       messages in order, 50 unless told; --from is a position in the stream, or for a category and $all the
             global position
  tail       the last 10, then those that come, until Ctrl-C; with --json a line each
  history    every event of one aggregate, its version, and its newest snapshot
  trace      all messages of one correlation id, as a tree of what caused what; searches the whole store
  --payload  shows the payloads too
  A name without its domain is one of this domain: order is bookshelf::order.

example: domaind events history order ord-1 --payload`,
  async run(argv, io, shutdown) {
    const [name = '', ...rest] = argv;
    if (!isSubcommand(name)) {
      const names = Object.keys(subcommands).join(', ');
      throw new UsageError(`${name === '' ? 'what of the events?' : `there is no events ${name}:`} ${names}`);
    }
    const { run, types, usage: ofName } = subcommands[name];
    const usage = `domaind events ${ofName}`;
    const given = parseArguments(rest, types, usage);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    const store = openStore(config);
    try {
      return await run({ given, subjects: given.positionals, usage, config, store, io, shutdown });
    } finally {
      await store.close();
    }
  },
};
