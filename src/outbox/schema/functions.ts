import { checkOptions } from './check-options.ts';

/** What is written into the functions when they are made: reading it from a table at each call costs more. */
export interface FunctionNames {
  /** The schema, quoted. */
  readonly q: string;
  /** The domain's normalised name: lowercase letters, digits and _. */
  readonly normalized: string;
  /** As types have it: letters and digits. */
  readonly camel: string;
  /** How sleeping relays are woken; null: they are not. */
  readonly hint: string | null;
  /** The same for those of external brokers. */
  readonly externalHint: string | null;
}

/** In the order in which they must be made. Each replaces its former self. */
export const functions = (names: FunctionNames): readonly string[] => [
  checkOptions(names.q),
  raiseEvent(names),
  processCommand(names),
];

/**
 * Checks of the other arguments; a category keeps the domain that it names. Lengths are no part of the patterns: a counted
 * repetition costs ten times the rest.
 */
const checkArguments = (caller: string, normalized: string): string => `
  if type is null or length(type) > 128 or type !~ '^[A-Za-z_][A-Za-z0-9_]*$' then
    raise exception using errcode = '22023', message = '${caller}: type must be named like OrderPlaced';
  end if;
  if category is null or length(category) > 200
    or category !~ '^([^-:{}[:space:][:cntrl:]]+::)?[^-:{}[:space:][:cntrl:]]+(:command)?$' then
    raise exception using errcode = '22023', message = '${caller}: category must be named like order, without -';
  end if;
  if data is null or json_typeof(data) <> 'object' then
    raise exception using errcode = '22023', message = '${caller}: data must be a JSON object';
  end if;
  if strpos(category, '::') = 0 then
    category := '${normalized}::' || category;
  end if;`;

const instant = (value: string): string => `to_char(${value} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')`;

/** The envelope. The same keys, nulls included, as message/compose.ts writes. */
const metadata = (kind: 'EVENT' | 'COMMAND', { normalized }: FunctionNames): string => `jsonb_build_object(
    'headers', jsonb_build_object(
      'id', message_id,
      'time', ${instant('now_at')},
      'type', full_type,
      'stream', stream,
      'traceparent', options -> 'traceparent',
      'idempotency_key', options ->> 'idempotency_key',
      'deadline', deadline),
    'envelope', '{"specversion": "1.0", "checksum": null}'::jsonb,
    'domain', jsonb_build_object(
      'fqn', '${normalized}.' || type,
      'kind', '${kind}',
      'origin_stream', null,
      'stream_category', ${kind === 'EVENT' ? 'category' : 'null'},
      'version', version,
      'sequence_id', ${kind === 'EVENT' ? 'sequence_id' : 'null'},
      'asynchronous', true,
      'expected_version', (options ->> 'expected_version')::bigint,
      'priority', priority,
      'correlation_id', options ->> 'correlation_id',
      'causation_id', options ->> 'causation_id'),
    'event_store', null,
    'extensions', extensions)`;

const columns = `id, message_id, stream_name, category, type, data, metadata, priority, partition_key,
    target_broker, correlation_id, causation_id, deliver_at`;

const declarations = (names: FunctionNames): string => `
  now_at timestamptz := clock_timestamp();
  row_id bigint := nextval('${names.q}.outbox_id_seq');
  message_id text;
  stream text;
  full_type text;
  version integer := 1;
  priority integer := 0;
  deadline text;
  extensions jsonb := '{}';
  envelope jsonb;`;

const readOptions = (caller: string, known: readonly string[], { q }: FunctionNames): string => `
  options := coalesce(options, '{}');
  if options <> '{}' then
    perform ${q}.outbox_check_options('${caller}', '{${known.join(',')}}', options);
    version := coalesce((options ->> 'version')::integer, version);
    priority := coalesce((options ->> 'priority')::integer, priority);
    deadline := ${instant("(options ->> 'deadline')::timestamptz")};
    extensions := coalesce(nullif(options -> 'extensions', 'null'), extensions);
  end if;`;

const commonOptions = [
  'version',
  'priority',
  'partition_key',
  'correlation_id',
  'causation_id',
  'traceparent',
  'idempotency_key',
  'deadline',
  'deliver_at',
  'extensions',
  'expected_version',
  'message_id',
] as const;

/**
 * Writes an event to the outbox, in the caller's transaction and with the caller's rights; returns the message's id.
 * The id is <stream>-<aggregate version>.<n>; without a sequence, n is made of the time in µs and of the row's id, so
 * that no two are alike. With "published" there is a row for each external broker too, in the form that they get.
 */
const raiseEvent = (names: FunctionNames): string => `
create or replace function ${names.q}.outbox_raise_event(
  type text, category text, id text, data json, options jsonb default '{}')
returns text language plpgsql as $body$
#variable_conflict use_variable
declare${declarations(names)}
  sequence_id text;
begin${readOptions('outbox_raise_event', [...commonOptions, 'published', 'aggregate_version', 'sequence', 'sequence_id'], names)}
  if id is null or length(id) not between 1 and 512 then
    raise exception using errcode = '22023', message = 'outbox_raise_event: id must have 1 to 512 characters';
  end if;${checkArguments('outbox_raise_event', names.normalized)}
  stream := category || '-' || id;
  full_type := '${names.camel}.' || type || '.v' || version;
  sequence_id := coalesce(options ->> 'sequence_id', coalesce(options ->> 'aggregate_version', '0') || '.' || coalesce(
    options ->> 'sequence',
    ((extract(epoch from now_at) * 1000000)::bigint * 1000 + row_id % 1000)::text));
  message_id := coalesce(options ->> 'message_id', stream || '-' || sequence_id);
  envelope := ${metadata('EVENT', names)};
  insert into ${names.q}.outbox (${columns})
  overriding system value
  values (
    row_id, message_id, stream, category, full_type, data, envelope, priority, options ->> 'partition_key',
    null, options ->> 'correlation_id', options ->> 'causation_id', (options ->> 'deliver_at')::timestamptz);
  if options -> 'published' = 'true' then
    insert into ${names.q}.outbox (${columns})
    overriding system value
    select
      nextval('${names.q}.outbox_id_seq'), message_id, stream, category, full_type, data,
      jsonb_build_object(
        'headers', envelope -> 'headers',
        'envelope', '{"specversion": "1.0"}'::jsonb,
        'domain', (envelope -> 'domain') - '{expected_version,asynchronous,priority}'::text[])
        || case when extensions = '{}' then '{}' else jsonb_build_object('extensions', extensions) end,
      priority, null, broker.name, options ->> 'correlation_id', options ->> 'causation_id',
      (options ->> 'deliver_at')::timestamptz
    from ${names.q}.outbox_setting setting, jsonb_array_elements_text(setting.value) broker (name)
    where setting.name = 'external_brokers';${names.externalHint ?? ''}
  end if;${names.hint ?? ''}
  return message_id;
end
$body$`;

/**
 * Writes a command to the outbox; returns the message's id, a UUID of version 8: fresh, or, with an idempotency key,
 * made of category, type and key, so that the inbox lets the same key have its effect once.
 */
const processCommand = (names: FunctionNames): string => `
create or replace function ${names.q}.outbox_process_command(
  type text, category text, data json, options jsonb default '{}')
returns text language plpgsql as $body$
#variable_conflict use_variable
declare${declarations(names)}
  digest text;
begin${readOptions('outbox_process_command', [...commonOptions, 'id'], names)}${checkArguments('outbox_process_command', names.normalized)}
  if options ? 'id' and length(options ->> 'id') > 512 then
    raise exception using errcode = '22023', message = 'outbox_process_command: id must have 1 to 512 characters';
  end if;
  if right(category, 8) <> ':command' then
    category := category || ':command';
  end if;
  full_type := '${names.camel}.' || type || '.v' || version;
  if options ->> 'message_id' is not null then
    message_id := options ->> 'message_id';
  elsif options ->> 'idempotency_key' is not null then
    digest := encode(sha256(convert_to(
      category || chr(10) || type || chr(10) || (options ->> 'idempotency_key'), 'UTF8')), 'hex');
    message_id := substr(digest, 1, 8) || '-' || substr(digest, 9, 4) || '-8' || substr(digest, 14, 3)
      || '-a' || substr(digest, 18, 3) || '-' || substr(digest, 21, 12);
  else
    message_id := overlay(gen_random_uuid()::text placing '8' from 15 for 1);
  end if;
  stream := category || '-' || coalesce(options ->> 'id', message_id);
  insert into ${names.q}.outbox (${columns})
  overriding system value
  values (
    row_id, message_id, stream, category, full_type, data, ${metadata('COMMAND', names)},
    priority, options ->> 'partition_key', null, options ->> 'correlation_id', options ->> 'causation_id',
    (options ->> 'deliver_at')::timestamptz);${names.hint ?? ''}
  return message_id;
end
$body$`;
