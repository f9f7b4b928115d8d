import { randomUUID } from 'node:crypto';
import type { Raised } from '../handler/raised.ts';
import type { Aggregates } from '../message/aggregate.ts';
import { raisedAppend } from '../message/aggregate.ts';

type Write = (raised: readonly Raised[]) => Promise<readonly string[]>;

/**
 * Writes messages that come from outside of handlers to where they are read: the event store, the outbox, or both. `toOutbox`
 * null: there is none. Two stores in turn: after a crash between them the sender, who got no answer, writes again.
 */
export const writing =
  (aggregates: Aggregates, toOutbox: Write | null): Write =>
  async (raised) => {
    if (!aggregates.raises) return toOutbox === null ? [] : toOutbox(raised);
    const { events } = await aggregates.append(raised.map(raisedAppend), randomUUID());
    if (toOutbox !== null) return toOutbox(events);
    return events.map(({ options }) => String(options['message_id']));
  };
