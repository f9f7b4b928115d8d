/**
 * How far each subscription of the event store has come, beside the tables that its handler writes to, so that both are
 * committed together. One row a subscription, updated by every transaction of its handler: the room that is left lets
 * each update stay on its page. `q` is the schema, quoted.
 *
 * position: everything up to it is handled, or is in `failed`. ahead: handled beyond it. failed: to be tried again.
 * started: how often a message was begun and not ended, of those that may have killed the process. clean: the last
 * owner has left in order. token: the lease's, which fences earlier owners out.
 */
export const positions = (q: string): string => `
create table ${q}.event_position (
  subscription text primary key,
  token bigint not null,
  position bigint not null,
  ahead bigint[] not null default '{}',
  failed bigint[] not null default '{}',
  started jsonb not null default '{}',
  clean boolean not null default true,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02);
`;
