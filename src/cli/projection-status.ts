import { leasesOf } from '../event-store/ownership.ts';
import { UsageError } from '../runtime/errors.ts';
import { subscriptionKey } from '../subscription/event-store-source.ts';
import { countedAtMost, positionOf, standingOf } from '../subscription/event-store-standing.ts';
import { leasePrefix } from '../worker/event-store-subscriptions.ts';
import type { PlanRow } from '../worker/plan.ts';
import { parseArguments } from './arguments.ts';
import type { Io } from './io.ts';
import { table } from './listing.ts';
import { span } from './spans.ts';
import type { Scene } from './status-facts.ts';
import { openScene } from './status-facts.ts';

/** One category of one handler that reads the event store. */
interface Standing {
  readonly handler: string;
  readonly kind: string;
  readonly category: string;
  readonly position: bigint;
  readonly head: bigint;
  /** At most `countedAtMost`. */
  readonly lag: number;
  readonly staleMs: number;
  readonly failed: number;
  readonly owned: boolean;
}

/** `domaind projection status [NAME]`. */
export async function showProjections(argv: readonly string[], io: Io, usage: string): Promise<number> {
  const types = { config: 'string', env: 'string', json: 'boolean', debug: 'boolean' } as const;
  const given = parseArguments(argv, types, usage);
  const [name = null, ...more] = given.positionals;
  if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
  const scene = await openScene(given, io);
  try {
    const rows = name === null ? readersIn(scene.plan) : [readerIn(scene.plan, name)];
    const standings = (await Promise.all(rows.map((row) => standingsOf(scene, row)))).flat();
    if (given.flag('json')) io.out(JSON.stringify(standings.map(jsonOf), null, 2));
    else if (standings.length === 0) io.out('no handler reads the event store');
    else io.out(table(io, headings, standings.map(cellsOf)));
    return 0;
  } finally {
    await scene.close();
  }
}

const readersIn = (plan: readonly PlanRow[]): readonly PlanRow[] =>
  plan.filter(({ settings }) => settings.type === 'event_store');

/** The handler of that name. Throws UsageError where it is none that reads the event store. */
export function readerIn(plan: readonly PlanRow[], name: string): PlanRow {
  const readers = readersIn(plan);
  const found = readers.find(({ handler }) => handler.name === name || handler.aliases.includes(name));
  if (found !== undefined) return found;
  const known = readers.map(({ handler }) => handler.name).join(', ') || 'none';
  const of = plan.some(({ handler }) => handler.name === name)
    ? `${name} reads streams`
    : `there is no handler "${name}"`;
  throw new UsageError(`${of}; the event store is read by ${known}`);
}

async function standingsOf({ config, providers }: Scene, { handler, streams }: PlanRow): Promise<readonly Standing[]> {
  const { name, kind, group, database } = handler;
  const { leases, positions } = providers.database(database).keeping;
  const { store } = providers.eventStore;
  const prefix = leasePrefix(config.domain.normalized);
  return Promise.all(
    streams.map(async (category): Promise<Standing> => {
      const { own } = leasesOf(prefix, subscriptionKey(group, category));
      const deps = { store, positions };
      const [position, head, { lag, lagMs, pending }, live] = await Promise.all([
        positionOf(group, category, deps),
        store.head(category),
        standingOf(group, category, deps),
        leases.live(own),
      ]);
      const about = { handler: name, kind, category, position, head };
      return { ...about, lag: lag ?? 0, staleMs: lagMs ?? 0, failed: pending, owned: live.includes(own) };
    }),
  );
}

const headings = ['HANDLER', 'CATEGORY', 'POSITION', 'END', 'TO GO', 'STALE', 'FAILED', 'STATE'];

const cellsOf = ({ handler, category, position, head, lag, staleMs, failed, owned }: Standing): readonly string[] => [
  handler,
  category,
  position < 0n ? '-' : String(position),
  String(head),
  lag >= countedAtMost ? `${countedAtMost}+` : String(lag),
  lag === 0 ? '-' : span(staleMs),
  String(failed),
  owned ? 'running' : 'stopped',
];

const jsonOf = ({ position, head, staleMs, owned, ...rest }: Standing) => ({
  ...rest,
  position: Number(position),
  head: Number(head),
  staleness_seconds: staleMs / 1_000,
  state: owned ? 'running' : 'stopped',
});
