/**
 * The idempotency keys of commands that were or are being carried out: a row a key, until its time is over. `q` is the
 * schema, quoted.
 *
 * owner: the entry, or the call, that carries it out. state: held, done or failed. answer: JSON, of the last two.
 */
export const commandKeys = (q: string): string => `
create table ${q}.command_key (
  key text primary key,
  owner text not null,
  state text not null,
  answer text,
  expires_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
create index command_key_expires_at on ${q}.command_key (expires_at);
`;
