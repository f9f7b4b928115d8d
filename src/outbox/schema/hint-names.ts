import { createHash } from 'node:crypto';

/** What writers and relays of one schema's outbox meet by, in a database that may hold several. */
export interface HintNames {
  /** The channel of NOTIFY. */
  readonly channel: string;
  /** The first key of the advisory locks; the second is the place, see hint.ts. */
  readonly lock: number;
}

export function hintNames(schema: string): HintNames {
  const digest = createHash('sha256').update(`outbox of ${schema}`).digest();
  return { channel: `outbox_${digest.toString('hex', 0, 8)}`, lock: digest.readInt32BE(8) };
}

/**
 * Says that there is a new row, if the relay of its shard sleeps: then it holds the lock. A lock that is got is kept until
 * the commit, so that the relay cannot fall asleep before. Under load the relay is awake, and nothing is said at all:
 * NOTIFY makes commits wait for each other.
 */
export const hintStatement = ({ channel, lock }: HintNames, shards: number): string => `
  if not pg_try_advisory_xact_lock_shared(${lock}, ((hashtextextended(stream, 0) & 1023) % ${shards})::integer) then
    perform pg_notify('${channel}', ((hashtextextended(stream, 0) & 1023) % ${shards})::text);
  end if;`;

/** The same for the rows of external brokers, whose places follow those of the shards. `q` is the schema, quoted. */
export const externalHintStatement = (q: string, { channel, lock }: HintNames, shards: number): string => `
    perform pg_notify('${channel}', place::text)
    from (
      select (1024 * broker.number + (hashtextextended(stream, 0) & 1023) % ${shards})::integer as place
      from ${q}.outbox_setting setting, jsonb_array_elements_text(setting.value) with ordinality broker (name, number)
      where setting.name = 'external_brokers'
      offset 0
    ) places
    where not pg_try_advisory_xact_lock_shared(${lock}, place);`;
