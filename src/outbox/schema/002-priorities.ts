/**
 * Rows with a priority other than 0 leave the indexes that are read by id for ones of their own, in the order of their
 * priority, of their age and of their streams: a pending row is in one kind or the other, so those without a priority
 * cost what they did. `q` is the schema, quoted.
 */
export const priorities = (q: string): string => `
drop index ${q}.outbox_pending;
drop index ${q}.outbox_pending_external;
create index outbox_pending on ${q}.outbox (id)
  where status = 'pending' and deliver_at is null and priority = 0 and target_broker is null;
create index outbox_pending_external on ${q}.outbox (target_broker, id)
  where status = 'pending' and deliver_at is null and priority = 0 and target_broker is not null;
create index outbox_prioritized on ${q}.outbox (target_broker, priority desc, id)
  where status = 'pending' and deliver_at is null and priority <> 0;
create index outbox_prioritized_by_age on ${q}.outbox (target_broker, id)
  where status = 'pending' and deliver_at is null and priority <> 0;
create index outbox_prioritized_by_stream on ${q}.outbox (stream_name, id)
  where status = 'pending' and deliver_at is null and priority <> 0;
`;
