/**
 * The tables that domaind owns. `q` is the schema, quoted.
 *
 * outbox: a row is in exactly one of the four partial indexes until it is published, and in none after that, so the
 * cost of a read does not grow with what has been published. There is no index on message_id, status or times: each
 * costs a fifth of the writes and more. `bucket` is what shards are cut by; generated, so that plain inserts have it.
 * Checks are made ready anew for every statement, 3 to 15 µs each: there are two, for the mistakes that would be found
 * late, a status that no relay looks for and metadata that no consumer can read.
 * fillfactor leaves room for the one update that each row gets on its own page.
 *
 * inbox: grows by a row a message and handler until it is purged, by the index on times, which is appended to only.
 */
export const tables = (q: string): string => `
create table ${q}.outbox (
  id bigint generated always as identity primary key,
  message_id text not null,
  stream_name text not null,
  category text not null,
  type text not null,
  data json not null,
  metadata jsonb not null,
  status text not null default 'pending',
  priority integer not null default 0,
  partition_key text,
  target_broker text,
  correlation_id text,
  causation_id text,
  retry_count integer not null default 0,
  next_retry_at timestamptz,
  deliver_at timestamptz,
  last_error jsonb,
  created_at timestamptz not null default clock_timestamp(),
  published_at timestamptz,
  abandoned_at timestamptz,
  bucket smallint not null generated always as ((hashtextextended(stream_name, 0) & 1023)::smallint) stored,
  constraint outbox_status check (status in ('pending', 'published', 'failed', 'abandoned')),
  constraint outbox_metadata check ((metadata #>> '{headers,id}' = message_id) is true)
) with (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.1,
  autovacuum_analyze_scale_factor = 0.05
);
create index outbox_pending on ${q}.outbox (id)
  where status = 'pending' and deliver_at is null and target_broker is null;
create index outbox_pending_external on ${q}.outbox (target_broker, id)
  where status = 'pending' and deliver_at is null and target_broker is not null;
create index outbox_scheduled on ${q}.outbox (deliver_at)
  where status = 'pending' and deliver_at is not null;
create index outbox_set_aside on ${q}.outbox (status, stream_name, id)
  where status in ('failed', 'abandoned');

create table ${q}.inbox (
  message_id text not null,
  handler text not null,
  processed_at timestamptz not null default clock_timestamp(),
  primary key (message_id, handler)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
create index inbox_processed_at on ${q}.inbox (processed_at);

create table ${q}.document (
  collection text not null,
  id text not null,
  value jsonb not null,
  primary key (collection, id)
);

create table ${q}.lease (
  name text primary key,
  owner text not null,
  token bigint not null,
  expires_at timestamptz not null
) with (fillfactor = 50);
`;
