import type { Append } from '../message/append.ts';
import { concurrencyError } from '../message/append-call.ts';
import { isoTime } from '../message/compose.ts';
import { categoryOfStream, isSubscriptionStream } from '../message/stream-name.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EventStore, ReadFilter, StoredMessage, Writer } from './event-store.ts';
import { everything } from './event-store.ts';
import { numberedMetadata } from './numbered-metadata.ts';

/** Appends that are not yet to be seen, as those of a transaction that is still open. */
export interface OpenAppends {
  readonly positions: readonly number[];
  commit(): void;
  /** Their global positions stay empty for ever. */
  rollback(): void;
}

export interface MemoryEventStore extends EventStore {
  /** Appends at once, for those who have a commit of their own. */
  write(appends: readonly Append[]): readonly number[];
  /** Draws the positions now; others may append and be seen meanwhile. For tests of readers. */
  begin(appends: readonly Append[], writer?: Partial<Writer>): OpenAppends;
}

/** The event store inside the process: gone with it. Keeps the same order and gaps as the real one. */
export function createMemoryEventStore({ clock }: { readonly clock: Clock }): MemoryEventStore {
  let drawn = 0n;
  let serial = 0;
  /** Seen, in the order of their global positions. */
  const seen: StoredMessage[] = [];
  const streams = new Map<string, StoredMessage[]>();
  const byId = new Map<string, StoredMessage>();
  const open = new Map<string, Writer>();

  const versionOf = (stream: string, more: readonly StoredMessage[]): number =>
    (streams.get(stream)?.length ?? 0) + more.filter((each) => each.stream === stream).length - 1;

  function draw(appends: readonly Append[]): StoredMessage[] {
    const made: StoredMessage[] = [];
    const time = isoTime(clock.now());
    for (const { stream, expectedVersion, messages } of appends) {
      const version = versionOf(stream, made);
      if (expectedVersion !== null && expectedVersion !== version) {
        throw concurrencyError(stream, expectedVersion, version);
      }
      for (const { id, type, dataText, metadataText, numbered } of messages) {
        const position = versionOf(stream, made) + 1;
        const metadata =
          numbered && metadataText !== null ? numberedMetadata(metadataText, stream, position) : metadataText;
        drawn += 1n;
        made.push({ id, stream, type, position, globalPosition: drawn, dataText, metadataText: metadata, time });
      }
    }
    return made;
  }

  function show(made: readonly StoredMessage[]): void {
    for (const message of made) {
      const own = streams.get(message.stream) ?? [];
      streams.set(message.stream, own);
      own.push(message);
      byId.set(message.id, message);
      seen.splice(firstFrom(seen, message.globalPosition), 0, message);
    }
  }

  const lasts = (appends: readonly Append[], made: readonly StoredMessage[]): readonly number[] =>
    appends.map(({ stream }) => made.findLast((each) => each.stream === stream)?.position ?? -1);

  function write(appends: readonly Append[]): readonly number[] {
    const before = drawn;
    const there = appends.flatMap(({ messages }) => messages.map(({ id }) => byId.get(id)));
    if (there.every((each) => each !== undefined)) return lasts(appends, there);
    try {
      const made = draw(appends);
      show(made);
      return lasts(appends, made);
    } catch (error) {
      drawn = before;
      throw error;
    }
  }

  return {
    provider: 'memory',
    write,
    begin(appends, about = {}) {
      const made = draw(appends);
      serial += 1;
      const id = `memory/${serial}`;
      open.set(id, { pid: null, application: null, user: null, ageMs: null, ...about, id });
      return {
        positions: lasts(appends, made),
        commit() {
          if (open.delete(id)) show(made);
        },
        rollback: () => void open.delete(id),
      };
    },
    append: async (appends) => write(appends),
    readStream: async (stream, position, limit) =>
      (streams.get(stream) ?? []).slice(Math.max(0, position), Math.max(0, position) + limit),
    async readCategory(category, from, limit, filter) {
      const found: StoredMessage[] = [];
      for (let at = firstFrom(seen, from); at < seen.length && found.length < limit; at += 1) {
        const message = seen[at];
        if (message !== undefined && isOf(message, category) && fits(message, filter)) found.push(message);
      }
      return found;
    },
    async readJson(category, from, limit) {
      const found = seen.slice(firstFrom(seen, from)).filter((each) => isOf(each, category));
      const texts = found
        .slice(0, limit)
        .map(
          ({ stream, position, globalPosition, dataText, metadataText }) =>
            `{"stream":${JSON.stringify(stream)},"position":${position},"at":"${globalPosition}","data":${dataText},"metadata":${metadataText}}`,
        );
      return `[${texts.join(',')}]`;
    },
    async readBackwards(category, before, limit) {
      const found: StoredMessage[] = [];
      for (
        let at = (before === null ? seen.length : firstFrom(seen, before)) - 1;
        at >= 0 && found.length < limit;
        at -= 1
      ) {
        const message = seen[at];
        if (message !== undefined && isOf(message, category)) found.push(message);
      }
      return found;
    },
    async lastMessage(stream, type) {
      return (streams.get(stream) ?? []).findLast((each) => type === undefined || each.type === type) ?? null;
    },
    head: async (category) => seen.findLast((each) => isOf(each, category))?.globalPosition ?? 0n,
    async behind(category, position, limit) {
      const beyond = seen
        .slice(firstFrom(seen, position + 1n))
        .filter((each) => isOf(each, category) && !isRecord(each));
      const [oldest] = beyond;
      const oldestMs = oldest === undefined ? null : Math.max(0, clock.now() - Date.parse(oldest.time));
      return { count: Math.min(limit, beyond.length), oldestMs };
    },
    horizon: async () => ({ head: seen.at(-1)?.globalPosition ?? 0n, writers: [...open.values()] }),
    running: async (writers) => writers.filter(({ id }) => open.has(id)),
    ping: async () => undefined,
    check: async () => undefined,
    close: async () => undefined,
  };
}

const isOf = ({ stream }: StoredMessage, category: string): boolean =>
  category === everything || categoryOfStream(stream) === category;

/** Whether a subscription has written it about itself. */
const isRecord = ({ stream }: StoredMessage): boolean => isSubscriptionStream(stream);

/** The index of the first message at or after a global position. */
function firstFrom(messages: readonly StoredMessage[], from: bigint): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.globalPosition ?? 0n) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function fits({ metadataText, type }: StoredMessage, filter: ReadFilter | undefined): boolean {
  if (filter === undefined) return true;
  if (filter.type !== null && filter.type !== type) return false;
  if (filter.correlationId === null && filter.originStream === null) return true;
  const metadata = metadataText === null ? null : (JSON.parse(metadataText) as { readonly domain?: DomainPart });
  const { correlation_id: correlation = null, origin_stream: origin = null } = metadata?.domain ?? {};
  return (
    (filter.correlationId === null || filter.correlationId === correlation) &&
    (filter.originStream === null || filter.originStream === origin)
  );
}

interface DomainPart {
  readonly correlation_id?: string | null;
  readonly origin_stream?: string | null;
}
