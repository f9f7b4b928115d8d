import { createHash } from 'node:crypto';
import type { Aggregates, Appended, AskedAppend } from '../message/aggregate.ts';
import type { Append } from '../message/append.ts';
import {
  appendCall,
  appendParameters,
  conflictIn,
  enterMessageStore,
  lastPositions,
  leaveMessageStore,
} from '../message/append-call.ts';
import type { NewMessage } from '../message/compose.ts';
import { compose, isoTime } from '../message/compose.ts';
import type { Metadata } from '../message/message.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EventStore } from './event-store.ts';
import { loadAggregate } from './load.ts';

export interface AggregatesConfig {
  readonly domain: { readonly normalized: string; readonly camel: string };
  /** Events since the last snapshot after which loading takes one. */
  readonly snapshotThreshold: number;
  /** Whether the event store is in the very database of those who append. */
  readonly shared: boolean;
  /** Default false. */
  readonly raises?: boolean;
}

export interface AggregatesDeps {
  readonly store: EventStore;
  readonly clock: Clock;
  /** For tests: shown what was raised into the event store. */
  readonly onRaised?: ((messages: readonly NewMessage[]) => void) | undefined;
}

/** Event-sourced aggregates in an event store. */
export function createAggregates(config: AggregatesConfig, { store, clock, onRaised }: AggregatesDeps): Aggregates {
  const { domain, snapshotThreshold, shared, raises = false } = config;

  const toAppends = (asked: readonly AskedAppend[], seed: string): readonly Append[] => {
    const time = isoTime(clock.now());
    let serial = 0;
    const written = (event: NewMessage, stream: string) => {
      serial += 1;
      const id = uuidOf(`${seed}\n${stream}\n${serial}`);
      const sequence = `${clock.now()}${String(Number.parseInt(id.slice(0, 8), 16) % 1_000_000).padStart(6, '0')}`;
      return { id, composed: compose(event, { ...domain, time, uuid: id, sequence }) };
    };
    return asked.flatMap(({ stream, expectedVersion, events, raised }): readonly Append[] => {
      const made = events.map((event) => ({ event, ...written(event, stream) }));
      const messages = made.map(({ event, id, composed: { type, metadata } }) => ({
        id,
        type,
        dataText: event.dataText,
        metadataText: JSON.stringify(metadata),
        numbered: raised !== true,
      }));
      return [{ stream: raised === true ? (made[0]?.composed.stream ?? stream) : stream, expectedVersion, messages }];
    });
  };

  return {
    raises,
    within: shared
      ? async (run, asked, seed) => {
          const appends = toAppends(asked, seed);
          const [before] = await run(enterMessageStore, []);
          const rows = await run(appendCall, appendParameters(appends)).then(undefined, (error: unknown) => {
            throw conflictIn(error) ?? error;
          });
          await run(leaveMessageStore, [String(before?.['path'] ?? '')]);
          return appended(
            asked,
            appends,
            lastPositions(
              appends,
              rows.map(({ position }) => ({ position })),
            ),
          );
        }
      : null,
    async append(asked, seed) {
      const appends = toAppends(asked, seed);
      const done = appended(asked, appends, await store.append(appends));
      onRaised?.(asked.flatMap(({ events, raised }) => (raised === true ? events : [])));
      return done;
    },
    load: (aggregate, fold, initial, options, incoming) =>
      loadAggregate({ ...aggregate, threshold: snapshotThreshold, ...options }, { store, incoming }, fold, initial),
  };
}

/** The events as they go to the outbox, with the ids, sequence ids and versions that their places give them. */
const appended = (
  asked: readonly AskedAppend[],
  appends: readonly Append[],
  versions: readonly number[],
): Appended => ({
  versions,
  events: asked.flatMap(({ stream, events, raised }, index) =>
    events.map((event, place) =>
      raised === true
        ? named(event, appends[index])
        : placed(event, stream, (versions[index] ?? 0) - (events.length - 1 - place)),
    ),
  ),
});

/** The same id as in the event store. */
const named = (event: NewMessage, append: Append | undefined): NewMessage => {
  const { headers } = JSON.parse(append?.messages[0]?.metadataText ?? '{}') as Partial<Metadata>;
  return { ...event, options: { ...event.options, ...(headers === undefined ? {} : { message_id: headers.id }) } };
};

const placed = (event: NewMessage, stream: string, position: number): NewMessage => ({
  ...event,
  options: {
    ...event.options,
    message_id: `${stream}-${position}`,
    sequence_id: String(position),
    expected_version: position - 1,
  },
});

/** A UUID of version 8: the same for the same text. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
