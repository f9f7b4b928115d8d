import type { Diagnosis } from './diagnose.ts';
import { findingJson } from './doctor.ts';
import { findingText } from './finding-text.ts';
import type { Io } from './io.ts';
import { table } from './listing.ts';
import type { Rates } from './rates.ts';
import { perSecond } from './rates.ts';
import { span, spanOrNone } from './spans.ts';
import type { StatusFacts, SubscriptionStatus } from './status-facts.ts';

const day = 86_400_000;

/** One look: what stands, what is wrong, and how fast it flows; rates are null at the first look. */
export interface StatusView {
  readonly found: StatusFacts;
  readonly diagnosis: Diagnosis;
  readonly rates: Rates | null;
}

/** Causes before tables: what is wrong comes first. */
export function statusText({ found, diagnosis, rates }: StatusView, io: Io): string {
  const { outboxes, subscriptions, deadLetters, leases } = found;
  const part = (headings: readonly string[], rows: readonly (readonly string[])[], none: string) =>
    rows.length === 0 ? none : table(io, headings, rows);
  const letters = deadLetters.filter(({ count }) => count > 0);
  return [
    ...troubles(diagnosis, io),
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
    part(
      rates === null ? subscriptionHeadings : [...subscriptionHeadings.slice(0, 5), 'IN/S', 'OUT/S', 'STREAM'],
      subscriptions.map((each) => (rates === null ? subscriptionCells(each) : withRates(each, rates))),
      'no subscriptions',
    ),
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

function withRates(each: SubscriptionStatus, rates: Rates): readonly string[] {
  const cells = subscriptionCells(each);
  const { added, handled } = rates.of(each.stream, each.group);
  return [...cells.slice(0, 5), perSecond(added), perSecond(handled), ...cells.slice(5)];
}

/** What is wrong, with its mend; `domaind doctor` has all of it. */
export const troubles = ({ findings }: Diagnosis, io: Io): readonly string[] =>
  findings.filter(({ severity }) => severity !== 'note').map((finding) => findingText(finding, io));

/** The same for machines. */
export const statusJson = ({ found, diagnosis, rates }: StatusView) => ({
  ...jsonOf(found),
  subscriptions: found.subscriptions.map((each) => ({
    ...subscriptionJson(each),
    ...(rates === null ? {} : ratesOf(rates, each)),
  })),
  findings: diagnosis.findings.map(findingJson),
});

function ratesOf(rates: Rates, { stream, group }: SubscriptionStatus) {
  const { added, handled } = rates.of(stream, group);
  return { added_per_second: added, handled_per_second: handled };
}

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
