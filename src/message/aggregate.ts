import type { NewMessage } from './compose.ts';
import type { Message } from './message.ts';

/** Which aggregate: `order` or `bookshelf::order`, and its id. */
export interface AggregateName {
  readonly category: string;
  readonly id: string;
}

/** Events that are to be appended to the stream of one aggregate, checked. */
export interface AskedAppend {
  readonly stream: string;
  /** -1: it must not exist yet; null: any. */
  readonly expectedVersion: number | null;
  readonly events: readonly NewMessage[];
  /** A message that was raised: it names its stream itself, and is not numbered by its place there. */
  readonly raised?: true;
}

/** What was raised, as an append of its own. */
export const raisedAppend = (message: NewMessage): AskedAppend => ({
  stream: '',
  expectedVersion: null,
  events: [message],
  raised: true,
});

/**
 * How a state comes of events: a function for each message name, `$any` for those that have none. It answers the new
 * state, and may change the old one in place. An event that it has no function for is an error: a state that has missed
 * an event is wrong.
 */
// biome-ignore lint/suspicious/noExplicitAny: what is in a stream was checked when it was written, and is what the fold takes it for
export type Fold<State> = { readonly [name: string]: (state: State, event: Message<any>) => State };

export interface LoadOptions {
  /** False: no snapshot is read or written. For states that JSON cannot hold. */
  readonly snapshots?: boolean;
  /** To be raised when the state's shape or the fold changes: snapshots of others are passed over. Default 1. */
  readonly snapshotVersion?: number;
}

export interface Loaded<State> {
  readonly state: State;
  /** The position of its last event, which is what `expectedVersion` wants; -1: there is none, and the state is the initial one. */
  readonly version: number;
}

/** Event-sourced aggregates of a domain, as handlers and applications use them. */
export interface Aggregates {
  /** Whether what is raised goes to the event store, too: some subscription reads it there. */
  readonly raises: boolean;
  /**
   * Appends in the transaction that `run` speaks in; null where the event store is in another database. Answers the events
   * as they go to the outbox: with the ids that their places give them. Throws ConcurrencyError.
   */
  readonly within: ((run: RunText, asked: readonly AskedAppend[], seed: string) => Promise<Appended>) | null;
  /** The same in a transaction of its own. `seed`: what is appended with the same one is appended once. */
  append(asked: readonly AskedAppend[], seed: string): Promise<Appended>;
  /**
   * Folds the stream of an aggregate, from its newest snapshot on where there is one. `incoming`: how an event of an old
   * version becomes one of the newest. Takes a snapshot when there were enough events since the last.
   */
  load<State>(
    aggregate: AggregateName,
    fold: Fold<State>,
    initial: State,
    options: LoadOptions,
    incoming: (message: Message) => Message,
  ): Promise<Loaded<State>>;
}

/** What was appended: the events for the outbox, and the version of each stream now. */
export interface Appended {
  readonly events: readonly NewMessage[];
  readonly versions: readonly number[];
}

/** Runs a parametrised query in a transaction; answers its rows. */
export type RunText = (
  text: string,
  parameters: string[],
) => PromiseLike<readonly { readonly [column: string]: unknown }[]>;
