import { UsageError } from '../runtime/errors.ts';
import type { PlanRow } from '../worker/plan.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { facts, table } from './listing.ts';
import { showPartitions, unblockPartition } from './partitions.ts';
import type { Scene, SubscriptionStatus } from './status-facts.ts';
import { openScene, subscriptionsIn } from './status-facts.ts';
import { subscriptionCells, subscriptionHeadings, subscriptionJson } from './status-text.ts';

const usage =
  'domaind subscriptions status|setup|partitions|skip|dlq [--handler NAME] [--blocked] [--config FILE] [--env NAME] [--json]';

/** `domaind subscriptions`: how each stands and by what settings it is fed; or their groups made. No daemon needs to run. */
export const subscriptions: Command = {
  name: 'subscriptions',
  summary: 'how subscriptions stand, by what settings, and where each setting comes from',
  help: `usage: ${usage}

  status           how each subscription stands, and those of its settings that are no defaults
    --handler NAME all settings of one, in the units of domain.toml, and where each comes from
  setup            make the streams and groups of all that do not exist, as the daemon does when it starts: before
                   it does, so that nothing is sent past them and autoscalers find them; as often as you like
  partitions       the keys of handlers with sequential_by: who owns each, how far behind it is
    --blocked      only those that stand still behind a message that was given up
  skip HANDLER KEY acknowledge that message, unhandled, so that those behind it go on
  dlq HANDLER KEY  the same, but keep it with the dead letters

  Low to high: default, the default profile, [server], the table of the subscription type, the profile of
  [server.subscriptions.<name>], its other keys, what the handler itself says.

example: domaind subscriptions status --handler OrderSummary`,
  async run(argv, io) {
    const types = {
      config: 'string',
      env: 'string',
      handler: 'string',
      blocked: 'boolean',
      json: 'boolean',
      debug: 'boolean',
    } as const;
    const given = parseArguments(argv, types, usage);
    const [what = '', ...subjects] = given.positionals;
    const more = subjects.slice(what === 'skip' || what === 'dlq' ? 2 : 0);
    if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
    if (!['status', 'setup', 'partitions', 'skip', 'dlq'].includes(what)) {
      throw new UsageError(
        `${what ? `there is no subscriptions ${what}` : 'what of the subscriptions?'}\nusage: ${usage}`,
      );
    }
    const scene = await openScene(given, io);
    try {
      if (what === 'skip' || what === 'dlq') {
        const [handler, key] = subjects;
        if (handler === undefined || key === undefined)
          throw new UsageError(`a handler and a key are needed\nusage: ${usage}`);
        const [row] = chosen(scene.plan, handler);
        return row === undefined ? 1 : await unblockPartition(what, scene, row, key, given, io);
      }
      const rows = chosen(scene.plan, given.text('handler'));
      if (what === 'partitions') return await showPartitions(scene, rows, given, io);
      if (what === 'setup') return await setUp(scene, rows, given, io);
      for (const each of scene.hidden) io.err(each);
      const states = await Promise.all(rows.map((row) => subscriptionsIn(scene, row)));
      const found = rows.map((row, index) => ({ row, states: states[index] ?? [] }));
      if (given.flag('json')) io.out(JSON.stringify(found.map(jsonOf), null, 2));
      else show(found, given, io);
      return 0;
    } finally {
      await scene.close();
    }
  },
};

async function setUp(scene: Scene, rows: readonly PlanRow[], given: Arguments, io: Io): Promise<number> {
  const made: { readonly handler: string; readonly stream: string; readonly group: string }[] = [];
  for (const { handler, streams, settings } of rows) {
    const broker = scene.providers.broker(handler.broker);
    if (settings.type === 'event_store' || !broker.capabilities.persistence) continue;
    const consumer = await broker.consume({ streams, group: handler.group, consumer: 'setup' });
    await consumer.close();
    made.push(...streams.map((stream) => ({ handler: handler.name, stream, group: handler.group })));
  }
  if (given.flag('json')) io.out(JSON.stringify(made, null, 2));
  else if (made.length === 0) io.out('no groups to make');
  else
    io.out(
      table(
        io,
        ['HANDLER', 'STREAM', 'GROUP'],
        made.map(({ handler, stream, group }) => [handler, stream, group]),
      ),
    );
  return 0;
}

interface Found {
  readonly row: PlanRow;
  readonly states: readonly SubscriptionStatus[];
}

function chosen(plan: readonly PlanRow[], name: string | null): readonly PlanRow[] {
  if (name === null) return plan;
  const found = plan.filter(({ handler }) => handler.name === name || handler.aliases.includes(name));
  if (found.length > 0) return found;
  const known = plan.map(({ handler }) => handler.name).join(', ') || 'none';
  throw new UsageError(`there is no handler "${name}"; there is ${known}`);
}

function show(found: readonly Found[], given: Arguments, io: Io): void {
  const all = given.text('handler') !== null;
  if (found.length === 0) {
    io.out('no handlers');
    return;
  }
  if (all) for (const each of found) showOne(each, io);
  const states = found.flatMap((each) => each.states);
  if (states.length > 0) io.out(table(io, subscriptionHeadings, states.map(subscriptionCells)));
  const settings = found.flatMap(({ row }) =>
    [...row.settings.origins]
      .filter(([, { origin }]) => all || origin !== 'default')
      .map(([field, { value, origin }]) => [...(all ? [] : [row.handler.name]), field, String(value), origin]),
  );
  if (settings.length === 0) io.out('\nevery setting has its default');
  else io.out(`\n${table(io, [...(all ? [] : ['HANDLER']), 'SETTING', 'VALUE', 'FROM'], settings)}`);
}

function showOne({ row: { handler, settings } }: Found, io: Io): void {
  facts(io, [
    ['handler', handler.name],
    ['defined at', handler.place],
    ['kind', handler.kind],
    ['group', handler.group],
    ['broker', handler.broker],
    ['database', handler.database],
    ['type', settings.type],
    ['profile', settings.profile],
  ]);
  io.out('');
}

const jsonOf = ({ row: { handler, streams, settings }, states }: Found) => ({
  handler: handler.name,
  kind: handler.kind,
  group: handler.group,
  place: handler.place,
  broker: handler.broker,
  database: handler.database,
  streams,
  type: settings.type,
  profile: settings.profile,
  state: states.map(subscriptionJson),
  settings: Object.fromEntries(settings.origins),
});
