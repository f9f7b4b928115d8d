import type { MemoryDatabase } from '../handler/memory-unit-of-work.ts';
import type { NewMessage } from '../message/compose.ts';

/** Who looks on in tests: shown each database in memory, and what is written to its outbox or raised into the event store. */
export interface MemoryObserver {
  opened(database: MemoryDatabase): void;
  added(messages: readonly NewMessage[]): void;
}
