import type { Config } from '../config/config.ts';
import type { EventStore } from '../event-store/event-store.ts';
import { everything } from '../event-store/event-store.ts';
import { createMessageDbEventStore } from '../event-store/message-db-event-store.ts';
import { openMessageDb } from '../event-store/message-db-open.ts';
import { categoryOf } from '../message/stream-name.ts';
import { systemClock } from '../runtime/clock.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Arguments } from './arguments.ts';
import type { Io } from './io.ts';

/** What every `domaind events …` is given. */
export interface Asked {
  readonly given: Arguments;
  /** What comes after the name of the subcommand. */
  readonly subjects: readonly string[];
  readonly usage: string;
  readonly config: Config;
  readonly store: EventStore;
  readonly io: Io;
  readonly shutdown: Shutdown;
}

/** Opens the event store of domain.toml. Connects to nothing yet. Throws MisconfiguredError for one inside the daemon. */
export function openStore({ eventStore }: Config): EventStore {
  if (eventStore.provider === 'memory') {
    const why =
      'an event store of provider "memory" lives inside the daemon: this command needs [event_store] provider';
    throw new MisconfiguredError('in_memory', `${why} = "message_db"`);
  }
  return createMessageDbEventStore(
    openMessageDb({ ...eventStore, maxConnections: 1 }, { clock: systemClock, notice: () => undefined }),
  );
}

/** What is read: one stream, a category, or everything. A name without its domain is one of this domain. */
export interface Place {
  readonly name: string;
  readonly isStream: boolean;
}

export function placeIn({ config: { domain } }: Asked, text: string): Place {
  if (text === everything) return { name: everything, isStream: false };
  const isOwn = /^(position|failed)-/.test(text);
  return { name: isOwn ? text : categoryOf(domain.normalized, text), isStream: text.includes('-') };
}

/** The one subject of a subcommand. */
export function subjectIn({ subjects, usage }: Asked, what: string): string {
  const [subject, ...more] = subjects;
  if (subject === undefined) throw new UsageError(`${what} is needed\nusage: ${usage}`);
  if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
  return subject;
}
