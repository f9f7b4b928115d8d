import type { MemoryDatabase } from '../../src/handler/memory-unit-of-work.ts';
import type { JsonObject } from '../../src/message/message.ts';
import { deadLettersOf, failedStream } from '../../src/message/stream-name.ts';
import type { Providers } from '../../src/providers.ts';
import type { Made } from './faults.ts';
import { effectsBy } from './handlers.ts';
import type { Observer, Sent, Started } from './observer.ts';
import { longestDelayMs, longestPauseMs } from './process.ts';

export interface Judgement {
  /** What must not be. Empty: the run is good. */
  readonly breaches: readonly string[];
  readonly sent: number;
  /** By kind. */
  readonly faults: ReadonlyMap<string, number>;
  /** Handlers that were called again, and entries that were published again, each for a reason that is known. */
  readonly repeated: number;
  readonly republished: number;
  readonly deadLetters: number;
}

export interface Evidence {
  readonly observer: Observer;
  readonly database: MemoryDatabase | undefined;
  readonly servers: Providers;
}

/** What the ledger must say of a run, once everything has come to rest. */
export async function judge({ observer, database, servers }: Evidence): Promise<Judgement> {
  const { sent, started, entries, made } = observer;
  const breaches = [...observer.breaches];
  const effects = effectsIn(database);
  const letters = await deadLettersIn(servers);
  const { pending, failed, abandoned } = (await servers.database('default').outbox?.stats(null)) ?? unknown;
  const refused = sent.filter(({ nature }) => nature === 'refused');
  const starts = startsOf(started);
  const mayBeGivenUp = made.filter(disturbs).length >= maxCrashes;

  for (const message of sent) {
    const { n, handler, nature } = message;
    const name = `${n} (${nature}) for ${handler}`;
    const times = effects.get(handler)?.filter((each) => each === n).length ?? 0;
    const given = letters.filter((each) => each === n).length;
    if (times > 1) breaches.push(`I4 ${name} has had its effect ${times} times`);
    const copies = handler === 'Auditor' ? 1 : entries.filter((each) => each === n).length;
    if (given > copies) breaches.push(`I7 ${name} is a dead letter ${given} times, published ${copies} times`);
    if (nature === 'refused') {
      if (times + given > 0) breaches.push(`I2 ${name} was refused and handled`);
      continue;
    }
    if (times + given === 0) breaches.push(`I1 ${name} is lost`);
    if (times > 0 && given > 0 && !mayBeGivenUp) breaches.push(`I7 ${name} is handled and a dead letter`);
    if (hopeless.has(nature) && times > 0) breaches.push(`I2 ${name} has had an effect`);
    if (!hopeless.has(nature) && given > 0 && !mayBeGivenUp) breaches.push(`I7 ${name} is a dead letter`);
  }
  const known = new Set(sent.map(({ n }) => n));
  for (const n of [...letters, ...[...effects.values()].flat(), ...entries])
    if (!known.has(n)) breaches.push(`I2 ${n} was never sent`);

  breaches.push(...outOfOrder('Ledger', sent, effects.get('Ledger') ?? []));
  breaches.push(...publishedOutOfOrder(sent, entries));
  if (pending + failed > 0) breaches.push(`I6 ${pending} rows are pending and ${failed} failed`);
  if (abandoned !== refused.length) breaches.push(`I6 ${abandoned} rows are abandoned, not ${refused.length}`);

  const again = [...starts.values()].flatMap(redeliveries);
  const twice = entries.filter((n, index) => entries.indexOf(n) < index);
  for (const { call, before } of again)
    if (!isExplained(call, before, observer)) breaches.push(`I3 ${call.n} is handled again, for no reason`);
  // A relay that nothing has happened to publishes once.
  if (twice.length > 0 && !made.some(disturbs)) breaches.push(`I3 ${twice.join(', ')} published again, for no reason`);
  return {
    breaches,
    sent: sent.length,
    faults: counted(made.map(({ kind }) => kind.replace(/ of .*| for .*/, ''))),
    repeated: again.length,
    republished: twice.length,
    deadLetters: letters.length,
  };
}

/**
 * What its owner was lost with so often is taken for the cause and given up. That is so of the innocent, too: who comes
 * after cannot tell a death by the message from one by another's, nor from an owner that stood still or was cut off.
 */
const maxCrashes = 3;

/** Calls for the same attempt at a message, each with the one before it. */
const redeliveries = (calls: readonly Started[]) =>
  calls.flatMap((call, index) => {
    const before = calls[index - 1];
    return before !== undefined && before.attempt === call.attempt ? [{ call, before }] : [];
  });

/** A clock that jumps is no reason to do anything again. */
const disturbs = ({ kind }: Made): boolean => !kind.startsWith('skew');

/** How long after a trouble its last consequence may come: what stands still goes on with what it had before. */
const consequenceMs = longestPauseMs + longestDelayMs + 6_000;

/** Whoever had it before was in trouble, or has it late, or the message was published twice. */
function isExplained(call: Started, before: Started, { made, entries }: Observer): boolean {
  if (entries.indexOf(call.n) !== entries.lastIndexOf(call.n)) return true;
  return made.some(
    (fault) =>
      disturbs(fault) &&
      (fault.process === before.process || fault.process === call.process) &&
      fault.at >= before.at - consequenceMs &&
      fault.at <= call.at,
  );
}

const unknown = { pending: Number.NaN, failed: Number.NaN, abandoned: Number.NaN };
const hopeless: ReadonlySet<string> = new Set(['poison', 'endless', 'killer', 'late_killer']);

/** By handler, the numbers of the messages that had an effect, in the order of the commits within each key. */
function effectsIn(database: MemoryDatabase | undefined): ReadonlyMap<string, readonly number[]> {
  const effects = new Map<string, readonly number[]>();
  for (const [collection, documents] of database?.collections ?? []) {
    const handler = collection.replace(effectsBy, '');
    const all = [...documents.values()].flatMap(
      (text) => (JSON.parse(text) as { readonly all: readonly number[] }).all,
    );
    effects.set(handler, all);
  }
  return effects;
}

/** The numbers of the messages that were given up, as often as they are dead letters. */
async function deadLettersIn(servers: Providers): Promise<readonly number[]> {
  const broker = servers.broker('default');
  const streams = ['shop::order', ...['a', 'b', 'c', 'd'].map((key) => `shop::account:${key}`), 'shop::account'];
  const found: number[] = [];
  for (const stream of streams.map(deadLettersOf)) {
    const consumer = await broker.consume({ streams: [stream], group: 'ledger', consumer: 'ledger' });
    const { signal } = new AbortController();
    const letters = await consumer.read({ count: 10_000, blockMs: 0, acks: [], signal });
    for (const { body } of letters) found.push((JSON.parse(body) as { readonly data: { readonly n: number } }).data.n);
  }
  return [...found, ...(await givenUpIn(servers))];
}

/** Those of the event store: a record says that a position was given up. Said again it is the same dead letter. */
async function givenUpIn(servers: Providers): Promise<readonly number[]> {
  const { store } = servers.eventStore;
  const records = await store.readStream(failedStream('shop.Auditor', 'shop::audit'), 0, 10_000);
  const positions = new Set(
    records
      .filter(({ type }) => type === 'Exhausted')
      .map(({ dataText }) => (JSON.parse(dataText) as JsonObject)['position']),
  );
  const messages = await store.readCategory('shop::audit', 0n, 10_000);
  return messages
    .filter(({ globalPosition }) => positions.has(Number(globalPosition)))
    .map(({ dataText }) => (JSON.parse(dataText) as { readonly n: number }).n);
}

function startsOf(started: readonly Started[]): ReadonlyMap<string, readonly Started[]> {
  const calls = new Map<string, Started[]>();
  for (const each of started) {
    const name = `${each.handler} ${each.n}`;
    calls.set(name, [...(calls.get(name) ?? []), each]);
  }
  return calls;
}

/** The effects on one key come in the order in which its messages were sent. */
function outOfOrder(handler: string, sent: readonly Sent[], effects: readonly number[]): readonly string[] {
  const breaches: string[] = [];
  const last = new Map<string, number>();
  for (const n of effects) {
    const key = sent[n]?.key ?? '';
    if (n < (last.get(key) ?? -1)) breaches.push(`I5 ${handler} handled ${n} of ${key} after ${last.get(key)}`);
    last.set(key, n);
  }
  return breaches;
}

/** The first publications of the messages of one stream come in the order in which they were committed. */
function publishedOutOfOrder(sent: readonly Sent[], entries: readonly number[]): readonly string[] {
  const breaches: string[] = [];
  const last = new Map<string, number>();
  for (const n of new Set(entries)) {
    const { handler = '', key = '' } = sent[n] ?? {};
    const stream = `${handler} ${key}`;
    if (n < (last.get(stream) ?? -1)) breaches.push(`I5 ${n} of ${stream} was published after ${last.get(stream)}`);
    last.set(stream, n);
  }
  return breaches;
}

function counted(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
