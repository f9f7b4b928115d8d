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
import type { Clock } from '../runtime/clock.ts';
import type { EventStore } from './event-store.ts';
import { loadAggregate } from './load.ts';

export interface AggregatesConfig {
  readonly domain: { readonly normalized: string; readonly camel: string };
  /** Events since the last snapshot after which loading takes one. */
  readonly snapshotThreshold: number;
  /** Whether the event store is in the very database of those who append. */
  readonly shared: boolean;
}

export interface AggregatesDeps {
  readonly store: EventStore;
  readonly clock: Clock;
}

/** Event-sourced aggregates in an event store. */
export function createAggregates(config: AggregatesConfig, { store, clock }: AggregatesDeps): Aggregates {
  const { domain, snapshotThreshold, shared } = config;

  const toAppends = (asked: readonly AskedAppend[], seed: string): readonly Append[] => {
    const time = isoTime(clock.now());
    let serial = 0;
    return asked.map(({ stream, expectedVersion, events }) => ({
      stream,
      expectedVersion,
      messages: events.map((event) => {
        const { metadata, type } = compose(event, { ...domain, time, uuid: '', sequence: '0' });
        serial += 1;
        const id = uuidOf(`${seed}\n${stream}\n${serial}`);
        return { id, type, dataText: event.dataText, metadataText: JSON.stringify(metadata), numbered: true };
      }),
    }));
  };

  return {
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
            lastPositions(
              appends,
              rows.map(({ position }) => ({ position })),
            ),
          );
        }
      : null,
    append: async (asked, seed) => appended(asked, await store.append(toAppends(asked, seed))),
    load: (aggregate, fold, initial, options, incoming) =>
      loadAggregate({ ...aggregate, threshold: snapshotThreshold, ...options }, { store, incoming }, fold, initial),
  };
}

/** The events as they go to the outbox, with the ids, sequence ids and versions that their places give them. */
const appended = (asked: readonly AskedAppend[], versions: readonly number[]): Appended => ({
  versions,
  events: asked.flatMap(({ stream, events }, index) =>
    events.map((event, place) => placed(event, stream, (versions[index] ?? 0) - (events.length - 1 - place))),
  ),
});

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
