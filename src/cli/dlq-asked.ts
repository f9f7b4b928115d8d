import type { DeadLetter, DeadLetters } from '../broker/dead-letters.ts';
import { createRedisDeadLetters } from '../broker/redis-dead-letters.ts';
import type { Config } from '../config/config.ts';
import { loadHandlers } from '../handler/load-handlers.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import { deadLettersOf, failedStream, laneOf } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Shutdown } from '../runtime/service.ts';
import { createEventStoreDeadLetters, inEventStore } from '../subscription/event-store-dead-letters.ts';
import { planFor } from '../worker/plan.ts';
import type { Arguments } from './arguments.ts';
import { openStore } from './events-asked.ts';
import type { Io } from './io.ts';
import { durationIn } from './spans.ts';

/** A stream of dead letters, and who may be given them again. */
export interface Source {
  readonly letters: DeadLetters;
  readonly stream: string;
  /** Handlers by group; null where no handlers were loaded, so that any group may. */
  readonly handlers: ReadonlyMap<string, string> | null;
}

/** What every `domaind dlq …` is given. */
export interface Asked {
  readonly given: Arguments;
  readonly subjects: readonly string[];
  readonly usage: string;
  readonly sources: readonly Source[];
  readonly io: Io;
  readonly shutdown: Shutdown;
}

/** A letter, and where it was found. */
export interface Found {
  readonly source: Source;
  readonly letter: DeadLetter;
}

/** Where dead letters can be: brokers, and the event store. Connects to nothing yet. */
export function openDeadLetters(config: Config): readonly DeadLetters[] {
  const { brokers, eventStore } = config;
  const notice = () => undefined;
  const ofBrokers = [...brokers.values()].flatMap((each) =>
    each.provider === 'redis'
      ? [createRedisDeadLetters(each, { clock: systemClock, random: systemRandom, notice })]
      : [],
  );
  const all = eventStore.provider === 'memory' ? ofBrokers : [...ofBrokers, openInEventStore(config)];
  if (all.length > 0) return all;
  const why =
    'dead letters are kept by a broker of provider redis and by an event store of provider message_db: there is neither in domain.toml';
  throw new MisconfiguredError('no_dead_letters', why);
}

function openInEventStore(config: Config): DeadLetters {
  const store = openStore(config);
  return createEventStoreDeadLetters({ store, clock: systemClock, close: () => void store.close() });
}

/**
 * The streams of dead letters: of all streams that the handlers read, lanes and partitions included; or, without
 * handlers, whatever a search finds. Throws ConfigError for handlers that cannot be loaded.
 */
export async function findSources(
  config: Config,
  all: readonly DeadLetters[],
  given: Arguments,
): Promise<readonly Source[]> {
  const sources = given.flag('no-handlers') ? await searched(all) : await ofHandlers(config, all);
  const stream = given.text('stream');
  if (stream === null) return sources;
  const wanted = sources.filter(
    (each) => each.stream === stream || each.stream === deadLettersOf(stream) || each.stream.endsWith(`-${stream}`),
  );
  if (wanted.length > 0) return wanted;
  const known = sources.map((each) => each.stream).join(', ') || 'none';
  throw new UsageError(`--stream ${stream} has no dead letters; known: ${known}`);
}

async function searched(all: readonly DeadLetters[]): Promise<readonly Source[]> {
  const found = await Promise.all(
    all.map(async (letters) => (await letters.find()).map((stream) => ({ letters, stream, handlers: null }))),
  );
  return found.flat();
}

async function ofHandlers(config: Config, all: readonly DeadLetters[]): Promise<readonly Source[]> {
  const { handlers } = await loadHandlers(config, { clock: systemClock });
  const sources = new Map<string, Source & { readonly handlers: Map<string, string> }>();
  for (const { handler, settings } of planFor(config, handlers)) {
    const { name, group, streams, broker } = handler;
    const inStore = settings.type === 'event_store';
    const letters = all.find((each) => each.broker === (inStore ? inEventStore : broker));
    if (letters === undefined) continue;
    const found = inStore
      ? streams.map((category) => failedStream(group, category))
      : await ofStreams(config, letters, handler);
    for (const stream of found) {
      const key = JSON.stringify([letters.broker, stream]);
      const source = sources.get(key) ?? { letters, stream, handlers: new Map<string, string>() };
      source.handlers.set(group, name);
      sources.set(key, source);
    }
  }
  return [...sources.values()];
}

async function ofStreams(
  { server: { lanes } }: Config,
  letters: DeadLetters,
  { streams, categories }: LoadedHandler,
): Promise<readonly string[]> {
  const suffix = categories.length > 0 ? (lanes?.suffix ?? null) : null;
  const partitions = await Promise.all(categories.map((category) => letters.partitions(category)));
  const bare = [...streams, ...partitions.flat()];
  const read = bare.flatMap((stream) => (suffix === null ? [stream] : [stream, laneOf(stream, suffix)]));
  return read.map(deadLettersOf);
}

/** Which letters; null: any. */
export interface LetterFilter {
  readonly handler: string | null;
  /** The class of the error, its code, or a part of its text. */
  readonly error: string | null;
  readonly olderThanMs: Millis | null;
}

export function filterIn({ given }: Asked): LetterFilter {
  const olderThan = given.text('older-than');
  return {
    handler: given.text('handler'),
    error: given.text('error'),
    olderThanMs: olderThan === null ? null : durationIn(olderThan, '--older-than'),
  };
}

export const handlerOf = ({ source, letter }: Found): string | null =>
  letter.handler ?? (letter.group === null ? null : (source.handlers?.get(letter.group) ?? null));

export function fits(found: Found, { handler, error }: LetterFilter): boolean {
  const { group, reason, errorType, errorMessage } = found.letter;
  const ofHandler = handler === null || handler === handlerOf(found) || handler === group;
  const part = (text: string) => errorMessage?.toLowerCase().includes(text.toLowerCase()) === true;
  return ofHandler && (error === null || error === reason || error === errorType || part(error));
}

/** Bodies may be large: so few at a time. */
const pageSize = 20;

/** The letters that fit and are there now, oldest first, a stream after the other. Ends early at the soft stop. */
export async function* lettersIn(asked: Asked, filter: LetterFilter): AsyncGenerator<Found> {
  for (const source of asked.sources) {
    const { letters, stream } = source;
    const to = String((await letters.now()) - (filter.olderThanMs ?? 0));
    for (let from = '-'; !asked.shutdown.soft.aborted; ) {
      const page = await letters.read({ stream, from, to, count: pageSize });
      for (const letter of page) if (fits({ source, letter }, filter)) yield { source, letter };
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) break;
      from = `(${last.id}`;
    }
  }
}

const isEntryId = (id: string): boolean => /^\d+-\d+$/.test(id);

/** The letters by their own ids, or by the ids of their messages; says on stderr which ids are of none. */
export async function lettersNamed(asked: Asked, filter: LetterFilter): Promise<readonly Found[]> {
  const { subjects, usage, sources, io } = asked;
  if (subjects.length === 0)
    throw new UsageError(`an ID is needed: of a dead letter, or of its message\nusage: ${usage}`);
  const found: Found[] = [];
  for (const id of subjects.filter(isEntryId)) {
    const of = await Promise.all(
      sources.map(async (source) => {
        const [letter] = await source.letters.read({ stream: source.stream, from: id, to: id, count: 1 });
        return letter === undefined ? [] : [{ source, letter }];
      }),
    );
    const [first, ...others] = of.flat();
    if (first !== undefined && others.length > 0) {
      const streams = of.flat().map(({ letter }) => letter.stream);
      throw new UsageError(`${id} is an id in ${streams.join(' and ')}: say which with --stream`);
    }
    if (first !== undefined && fits(first, filter)) found.push(first);
  }
  const messages = new Set(subjects.filter((id) => !isEntryId(id)));
  if (messages.size > 0) {
    for await (const each of lettersIn(asked, filter)) {
      if (each.letter.messageId !== null && messages.has(each.letter.messageId)) found.push(each);
    }
  }
  for (const id of missing(subjects, found)) io.err(`there is no dead letter ${id}`);
  return found;
}

export const missing = (subjects: readonly string[], found: readonly Found[]): readonly string[] =>
  subjects.filter((id) => !found.some(({ letter }) => letter.id === id || letter.messageId === id));
