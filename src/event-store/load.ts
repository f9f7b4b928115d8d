import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Fold, Loaded } from '../message/aggregate.ts';
import { decode, isObject } from '../message/codec.ts';
import type { Json, JsonObject, Message } from '../message/message.ts';
import { snapshotStreamOf, streamOf } from '../message/stream-name.ts';
import { DecodeError, DomaindError } from '../runtime/errors.ts';
import type { EventStore, StoredMessage } from './event-store.ts';
import { bodyOf } from './stored-message.ts';

export interface LoadConfig {
  /** With its domain: `bookshelf::order`. */
  readonly category: string;
  readonly id: string;
  /** Events since the last snapshot after which one is taken. */
  readonly threshold: number;
  readonly snapshots?: boolean;
  readonly snapshotVersion?: number;
}

export interface LoadDeps {
  readonly store: EventStore;
  /** How an event of an old version becomes one of the newest. */
  readonly incoming: (message: Message) => Message;
}

const page = 1_000;

/**
 * Folds the stream of an aggregate into its state, from its newest snapshot on. Throws DomaindError of code
 * `event_not_folded` for an event that `fold` has no function for, and of code `state_not_json` for a state that a
 * snapshot would change; whatever `fold` throws; and the errors of the store.
 */
export async function loadAggregate<State>(
  config: LoadConfig,
  { store, incoming }: LoadDeps,
  fold: Fold<State>,
  initial: State,
): Promise<Loaded<State>> {
  const { category, id, threshold, snapshots = true, snapshotVersion = 1 } = config;
  const snapshotStream = snapshotStreamOf(category, id);
  const stream = streamOf(category, id);
  const snapshot = snapshots ? snapshotIn(await store.lastMessage(snapshotStream, 'SNAPSHOT'), snapshotVersion) : null;
  const since = snapshot?.version ?? -1;
  // A border: a snapshot holds the state that was written there, as the caller's snapshot version says.
  let state: State = snapshot === null ? structuredClone(initial) : (snapshot.state as State);
  let version = since;
  for (;;) {
    const read = await store.readStream(stream, version + 1, page);
    for (const stored of read) {
      state = step(fold, state, incoming(eventIn(stored)));
      version = stored.position;
    }
    if (read.length < page) break;
  }
  if (snapshots && version > since) {
    const data = stateText(state, stream);
    if (version - since >= threshold) await store.append([snapshotOf(snapshotStream, data, version, snapshotVersion)]);
  }
  return { state, version };
}

function step<State>(fold: Fold<State>, state: State, event: Message): State {
  const apply = ownFunction(fold, event.name) ?? ownFunction(fold, '$any');
  if (apply !== null) return apply(state, event);
  const mend = `add a function ${event.name} or $any to the fold`;
  throw new DomaindError(
    'event_not_folded',
    `the fold has no function for ${event.name} of stream ${event.stream}: ${mend}`,
  );
}

/** An event named `toString` or `__proto__` finds nothing that nobody put there. */
const ownFunction = <State>(fold: Fold<State>, name: string) =>
  Object.hasOwn(fold, name) ? (fold[name] ?? null) : null;

function eventIn(stored: StoredMessage): Message {
  const body = bodyOf(stored);
  if (body === null) {
    const where = `position ${stored.position} of stream ${stored.stream}`;
    throw new DecodeError('invalid_envelope', `at ${where} there is no event: its metadata are of another kind`);
  }
  return decode(body);
}

interface Snapshot {
  readonly state: Json;
  readonly version: number;
}

/** What a snapshot holds; null where it is of another version of the state, or none that can be read. */
function snapshotIn(stored: StoredMessage | null, wanted: number): Snapshot | null {
  if (stored === null) return null;
  const metadata = stored.metadataText === null ? null : (JSON.parse(stored.metadataText) as Json);
  const written = isObject(metadata) ? (metadata['snapshot_version'] ?? 1) : 1;
  const data = JSON.parse(stored.dataText) as Json;
  if (written !== wanted || !isObject(data)) return null;
  const { _version: version, ...state } = data;
  return typeof version === 'number' && Number.isInteger(version) ? { state, version } : null;
}

/** A state must come back from a snapshot as it was: told at the first load, not at the one after the snapshot. */
function stateText(state: unknown, stream: string): JsonObject {
  const back: unknown = isObject(state) && !('_version' in state) ? JSON.parse(JSON.stringify(state)) : null;
  if (isObject(back) && isDeepStrictEqual(back, state)) return back;
  const mend = 'fold into a plain object of JSON values, without undefined and _version, or load with snapshots: false';
  throw new DomaindError('state_not_json', `the state of stream ${stream} cannot be kept in a snapshot: ${mend}`);
}

const snapshotOf = (stream: string, data: JsonObject, version: number, snapshotVersion: number) => ({
  stream,
  expectedVersion: null,
  messages: [
    {
      id: randomUUID(),
      type: 'SNAPSHOT',
      dataText: JSON.stringify({ ...data, _version: version }),
      metadataText: snapshotVersion === 1 ? null : JSON.stringify({ snapshot_version: snapshotVersion }),
      numbered: false,
    },
  ],
});
