import type { AttemptRecord } from '../broker/broker.ts';
import type { DeadLetter } from '../broker/dead-letters.ts';
import type { RowFacts } from '../outbox/outbox-admin.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { backoff } from '../runtime/backoff.ts';

/** An entry of one message, with how each group stands to it. */
export interface EntryFacts {
  readonly broker: string;
  readonly stream: string;
  readonly id: string;
  readonly messageId: string | null;
  readonly type: string | null;
  /** The stream of its aggregate. */
  readonly aggregate: string | null;
  readonly correlationId: string | null;
  readonly idempotencyKey: string | null;
  readonly groups: readonly EntryInGroup[];
}

export interface EntryInGroup {
  readonly group: string;
  /** Null: no handler of this domain is this group. */
  readonly handler: string | null;
  /** `unread`, in somebody's hand (`pending`), or settled: acknowledged, given up or skipped. */
  readonly state: 'unread' | 'pending' | 'settled';
  readonly consumer: string | null;
  /** Since it was last delivered, or its consumer last said that it lives. */
  readonly idleMs: number | null;
  readonly deliveries: number | null;
  readonly history: readonly AttemptRecord[];
  readonly crashes: number;
  /** By which the next try is reckoned; null where no handler is known. */
  readonly backoff: BackoffPolicy | null;
}

export interface InboxRow {
  readonly database: string;
  readonly messageId: string;
  readonly handler: string;
  /** ISO-8601. */
  readonly processedAt: string;
}

export interface RowIn extends RowFacts {
  readonly database: string;
}

/** All that is known of what was asked for. */
export interface Traces {
  readonly rows: readonly RowIn[];
  readonly entries: readonly EntryFacts[];
  readonly deadLetters: readonly (DeadLetter & { readonly broker: string })[];
  readonly inbox: readonly InboxRow[];
}

/** One line of a message's life. */
export interface Moment {
  /** ISO-8601; null: it has not happened yet, or nobody wrote down when. */
  readonly at: string | null;
  /** `outbox`, `stream`, a handler or a group, `inbox`, `dead letters`. */
  readonly where: string;
  readonly what: string;
}

/** The life of one message, oldest first, what is still to come last. */
export interface Life {
  readonly messageId: string | null;
  readonly type: string | null;
  readonly stream: string | null;
  readonly correlationId: string | null;
  readonly moments: readonly Moment[];
}

/** One life a message, in the order in which they began. Pure. */
export function livesIn(traces: Traces): readonly Life[] {
  const { rows, entries, deadLetters, inbox } = traces;
  const keys = new Map<string, Traces>();
  const of = (id: string | null, fallback: string): Traces => {
    const key = id ?? fallback;
    const found = keys.get(key) ?? { rows: [], entries: [], deadLetters: [], inbox: [] };
    keys.set(key, found);
    return found;
  };
  const put = <K extends keyof Traces>(id: string | null, fallback: string, kind: K, value: Traces[K][number]) => {
    const life = of(id, fallback);
    keys.set(id ?? fallback, { ...life, [kind]: [...life[kind], value] });
  };
  for (const row of rows) put(row.messageId, row.id, 'rows', row);
  for (const entry of entries) put(entry.messageId, entry.id, 'entries', entry);
  for (const letter of deadLetters) put(letter.messageId, letter.originalId ?? letter.id, 'deadLetters', letter);
  for (const row of inbox) put(row.messageId, row.messageId, 'inbox', row);
  return [...keys.values()]
    .map(lifeOf)
    .sort((a, b) => (a.moments[0]?.at ?? '9').localeCompare(b.moments[0]?.at ?? '9'));
}

function lifeOf({ rows, entries, deadLetters, inbox }: Traces): Life {
  const [row, entry, letter] = [rows[0], entries[0], deadLetters[0]];
  const moments = [
    ...rows.flatMap(ofRow),
    ...entries.flatMap((each) => ofEntry(each, deadLetters, inbox)),
    ...inbox.map(({ database, handler, processedAt }) => ({
      at: processedAt,
      where: `inbox of "${database}"`,
      what: `${handler} has handled it: its effects are committed`,
    })),
    ...deadLetters.flatMap(ofLetter),
  ];
  return {
    messageId: row?.messageId ?? entry?.messageId ?? letter?.messageId ?? inbox[0]?.messageId ?? null,
    type: row?.type ?? entry?.type ?? letter?.messageType ?? null,
    stream: row?.stream ?? entry?.aggregate ?? letter?.origin ?? null,
    correlationId: row?.correlationId ?? entry?.correlationId ?? null,
    moments: [...moments].sort((a, b) => instant(a) - instant(b)),
  };
}

const instant = ({ at }: Moment): number => (at === null ? Number.POSITIVE_INFINITY : Date.parse(at));

function ofRow(row: RowIn): readonly Moment[] {
  const where = `outbox of "${row.database}"`;
  const error = row.lastError;
  const said = error === null ? '' : `: ${String(error['code'] ?? error['type'])}: ${String(error['message'])}`;
  const refusedAt = typeof error?.['time'] === 'string' ? error['time'] : null;
  const until = row.deliverAt === null ? '' : `, to be delivered at ${row.deliverAt}`;
  return [
    { at: row.createdAt, where, what: `row ${row.id} was written${until}` },
    ...(error === null ? [] : [{ at: refusedAt, where, what: `refused ${times(row.retryCount)}, last${said}` }]),
    ...(row.status === 'failed' ? [{ at: null, where, what: `failed; next try at ${row.nextRetryAt ?? 'once'}` }] : []),
    ...(row.status === 'pending' ? [{ at: null, where, what: 'pending: waits for a relay' }] : []),
    ...(row.publishedAt === null ? [] : [{ at: row.publishedAt, where, what: 'published: the broker confirmed it' }]),
    ...(row.abandonedAt === null
      ? []
      : [{ at: row.abandonedAt, where, what: 'abandoned: `domaind outbox retry` brings it back' }]),
  ];
}

function ofEntry(
  { broker, stream, id, groups }: EntryFacts,
  letters: Traces['deadLetters'],
  inbox: Traces['inbox'],
): readonly Moment[] {
  const added = { at: atOfEntry(id), where: `broker "${broker}"`, what: `entry ${id} on ${stream}` };
  return [added, ...groups.flatMap((group) => inGroup(group, id, letters, inbox))];
}

function inGroup(
  { group, handler, state, consumer, idleMs, deliveries, history, crashes, backoff: policy }: EntryInGroup,
  id: string,
  letters: Traces['deadLetters'],
  inbox: Traces['inbox'],
): readonly Moment[] {
  const where = handler ?? `group ${group}`;
  const attempts = history.map(({ time, error_type, error_message }, index) => ({
    at: time,
    where,
    what: `attempt ${index + 1} failed: ${error_type}: ${error_message}`,
  }));
  if (state === 'unread') return [...attempts, { at: null, where, what: 'has not read it yet' }];
  if (state === 'settled') {
    const isLetter = letters.some((letter) => letter.group === group && letter.originalId === id);
    // The inbox and the dead letters tell when; of what is in neither, nobody wrote it down.
    const told = isLetter || inbox.some((row) => row.handler === handler);
    return told ? attempts : [...attempts, { at: null, where, what: 'acknowledged' }];
  }
  const held = `in the hand of ${consumer}, delivered ${times(deliveries ?? 1)}, untouched for ${idleMs ?? 0} ms`;
  const crashed = crashes > 0 ? [{ at: null, where, what: `took its process down ${times(crashes)}` }] : [];
  return [...attempts, ...crashed, { at: null, where, what: `${held}${nextTry(history, policy)}` }];
}

/** The delay is spread at random: so about then. */
function nextTry(history: readonly AttemptRecord[], policy: BackoffPolicy | null): string {
  const last = history.at(-1);
  if (last === undefined || policy === null || Number.isNaN(Date.parse(last.time))) return '';
  const due = Date.parse(last.time) + backoff({ ...policy, jitter: 0 }, history.length, () => 0);
  return `; attempt ${history.length + 1} is due at about ${new Date(due).toISOString()}`;
}

function ofLetter(letter: Traces['deadLetters'][number]): readonly Moment[] {
  const who = letter.handler ?? letter.group ?? 'a group';
  const cause =
    letter.errorType === null ? (letter.reason ?? 'no cause is noted') : `${letter.errorType}: ${letter.errorMessage}`;
  const tried = letter.attempts === null ? '' : ` after ${letter.attempts} attempts`;
  return [
    ...letter.history.map(({ time, errorType, errorMessage }, index) => ({
      at: time,
      where: who,
      what: `attempt ${index + 1} failed: ${errorType}: ${errorMessage}`,
    })),
    {
      at: letter.failedAt ?? atOfEntry(letter.id),
      where: letter.stream,
      what: `dead letter ${letter.id}: ${who} gave it up${tried}: ${cause}`,
    },
  ];
}

/** An entry's id begins with the broker's time. */
const atOfEntry = (id: string): string | null => {
  const ms = Number(id.split('-')[0]);
  return Number.isSafeInteger(ms) && ms < 8.64e15 ? new Date(ms).toISOString() : null;
};

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
