import { systemClock } from '../runtime/clock.ts';
import { UnavailableError, UsageError } from '../runtime/errors.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { table } from './listing.ts';
import { span, spanOrNone } from './spans.ts';
import type { Scene, StatusFacts, SubscriptionStatus } from './status-facts.ts';
import { lookUp, openScene } from './status-facts.ts';

const usage = 'domaind status [--watch] [--config FILE] [--env NAME] [--json]';
const everyMs = 2_000;
const day = 86_400_000;

/** `domaind status`: how the outbox, the subscriptions, the dead letters and the leases stand. No daemon needs to run. */
export const status: Command = {
  name: 'status',
  summary: 'how outbox, subscriptions, dead letters and leases stand',
  help: `usage: ${usage}

  --watch          look again every ${everyMs / 1_000} s, until Ctrl-C; with --json, one line each time
  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV

  LAG is what a group has not read yet, and since when; PENDING what it has read and not acknowledged.

example: domaind status --watch`,
  async run(argv, io, shutdown) {
    const types = { config: 'string', env: 'string', watch: 'boolean', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [unexpected] = given.positionals;
    if (unexpected !== undefined) throw new UsageError(`unexpected "${unexpected}"\nusage: ${usage}`);
    const scene = await openScene(given, io);
    try {
      for (const each of scene.hidden) io.err(each);
      if (given.flag('watch')) await watch(scene, given, io, shutdown);
      else show(await lookUp(scene), given, io, 2);
      return 0;
    } finally {
      await scene.close();
    }
  },
};

/** An outage is what one may be watching for: it is said, and looked at again. */
async function watch(scene: Scene, given: Arguments, io: Io, { soft }: Shutdown): Promise<void> {
  const clear = io.isTty && !given.flag('json') ? '\x1b[H\x1b[2J' : '';
  while (!soft.aborted) {
    try {
      const found = await lookUp(scene);
      if (!soft.aborted) show(found, given, io, undefined, clear);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      io.err(error.message);
    }
    await systemClock.sleep(everyMs, soft);
  }
}

function show(found: StatusFacts, given: Arguments, io: Io, indent?: number, clear = ''): void {
  if (given.flag('json')) io.out(JSON.stringify(jsonOf(found), null, indent));
  else io.out(clear + textOf(found, io));
}

function textOf({ outboxes, subscriptions, deadLetters, leases }: StatusFacts, io: Io): string {
  const part = (headings: readonly string[], rows: readonly (readonly string[])[], none: string) =>
    rows.length === 0 ? none : table(io, headings, rows);
  const letters = deadLetters.filter(({ count }) => count > 0);
  return [
    part(
      ['OUTBOX', 'BROKER', 'PENDING', 'FAILED', 'ABANDONED', 'OLDEST'],
      outboxes.map(({ database, broker, pending, failed, abandoned, oldestPendingMs }) => [
        database,
        broker,
        String(pending),
        String(failed),
        String(abandoned),
        spanOrNone(oldestPendingMs),
      ]),
      'no outbox',
    ),
    part(subscriptionHeadings, subscriptions.map(subscriptionCells), 'no subscriptions'),
    part(
      ['DEAD LETTERS', 'STREAM'],
      letters.map(({ stream, count }) => [String(count), stream]),
      'no dead letters',
    ),
    part(
      ['LEASE', 'EXPIRES', 'OWNER'],
      leases
        .filter(({ expiresInMs }) => expiresInMs > -day)
        .map(({ name, owner, expiresInMs }) =>
          expiresInMs > 0
            ? [name, `in ${span(expiresInMs)}`, owner]
            : [name, `free for ${span(-expiresInMs)}`, `last ${owner}`],
        ),
      'no leases: no relay has run in the last day',
    ),
  ].join('\n\n');
}

export const subscriptionHeadings = ['HANDLER', 'LAG', 'BEHIND', 'PENDING', 'OLDEST', 'STREAM'];

export const subscriptionCells = (each: SubscriptionStatus): readonly string[] => [
  each.handler,
  each.lag === null ? '?' : String(each.lag),
  each.lag === 0 ? '-' : spanOrNone(each.lagMs),
  String(each.pending),
  spanOrNone(each.oldestPendingMs),
  each.stream,
];

const jsonOf = ({ outboxes, subscriptions, deadLetters, leases }: StatusFacts) => ({
  outboxes: outboxes.map(({ database, broker, pending, failed, abandoned, oldestPendingMs }) => ({
    database,
    broker,
    pending,
    failed,
    abandoned,
    oldest_pending_ms: rounded(oldestPendingMs),
  })),
  subscriptions: subscriptions.map(subscriptionJson),
  dead_letters: deadLetters,
  leases: leases.map(({ database, name, owner, token, expiresInMs }) => ({
    database,
    name,
    owner,
    token,
    held: expiresInMs > 0,
    expires_in_ms: rounded(expiresInMs),
  })),
});

export const subscriptionJson = ({
  handler,
  stream,
  group,
  lag,
  lagMs,
  pending,
  oldestPendingMs,
}: SubscriptionStatus) => ({
  handler,
  stream,
  group,
  lag,
  lag_ms: rounded(lagMs),
  pending,
  oldest_pending_ms: rounded(oldestPendingMs),
});

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms));
