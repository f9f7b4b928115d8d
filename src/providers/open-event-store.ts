import type { Config } from '../config/config.ts';
import type { OpenedEventStore } from '../event-store/event-store.ts';
import { createMemoryEventStore } from '../event-store/memory-event-store.ts';
import { createMessageDbEventStore } from '../event-store/message-db-event-store.ts';
import { isSameDatabase, openMessageDb } from '../event-store/message-db-open.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';
import { notifier } from './notifier.ts';

interface OpenEventStoreDeps {
  readonly clock: Clock;
  readonly emit: Emit;
}

/** The event store of domain.toml, and the databases that it shares a server and a transaction with. */
export function openEventStore(
  { eventStore, databases }: Config,
  { clock, emit }: OpenEventStoreDeps,
): OpenedEventStore {
  if (eventStore.provider === 'memory') return { store: createMemoryEventStore({ clock }), sharedWith: new Set() };
  const shared = [...databases.values()].flatMap((each) =>
    each.provider === 'postgresql' && isSameDatabase(each.uri, eventStore.uri) ? [each.name] : [],
  );
  const database = openMessageDb(eventStore, { clock, notice: notifier('event store', emit) });
  return { store: createMessageDbEventStore(database), sharedWith: new Set(shared) };
}
