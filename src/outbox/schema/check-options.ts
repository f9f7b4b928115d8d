/**
 * The SQL function that looks at the options of the others. `q` is the schema, quoted.
 *
 * Names the option that is unknown or not what it must be; SQLSTATE 22023. Null stands for: not given. Called only where
 * there are options.
 */
export const checkOptions = (q: string): string => `
create or replace function ${q}.outbox_check_options(caller text, known text[], options jsonb)
returns void language plpgsql stable as $body$
declare
  option text;
  given jsonb;
  kind text;
  plain text;
  wanted text;
begin
  if jsonb_typeof(options) <> 'object' then
    raise exception using errcode = '22023', message = caller || ': options must be a JSON object';
  end if;
  for option, given in select * from jsonb_each(options) loop
    if option <> all (known) then
      raise exception using errcode = '22023', message =
        caller || ': unknown option "' || option || '"; known are ' || array_to_string(known, ', ');
    end if;
    kind := jsonb_typeof(given);
    plain := given #>> '{}';
    continue when kind = 'null';
    if option in ('version', 'priority', 'expected_version', 'aggregate_version', 'sequence') then
      if kind <> 'number' or trunc(plain::numeric) <> plain::numeric then
        wanted := 'a whole number';
      elsif option = 'version' and plain::numeric not between 1 and 999999999 then
        wanted := 'from 1 to 999999999';
      elsif option = 'priority' and plain::numeric not between -2147483648 and 2147483647 then
        wanted := 'from -2147483648 to 2147483647';
      elsif option = 'expected_version' and plain::numeric not between -1 and 9007199254740991 then
        wanted := 'from -1 to 9007199254740991';
      elsif option in ('aggregate_version', 'sequence') and plain::numeric not between 0 and 9007199254740991 then
        wanted := 'from 0 to 9007199254740991';
      end if;
    elsif option = 'published' then
      if kind <> 'boolean' then
        wanted := 'true or false';
      end if;
    elsif option = 'extensions' then
      if kind <> 'object' then
        wanted := 'an object';
      end if;
    elsif option = 'traceparent' then
      if jsonb_typeof(given -> 'trace_id') is distinct from 'string'
        or jsonb_typeof(given -> 'parent_id') is distinct from 'string'
        or jsonb_typeof(given -> 'sampled') is distinct from 'boolean' then
        wanted := 'an object with trace_id, parent_id and sampled';
      end if;
    elsif kind <> 'string' or plain = '' then
      wanted := 'a text that is not empty';
    elsif option in ('deadline', 'deliver_at') then
      if plain !~ '^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(:\\d\\d(\\.\\d+)?)?(Z|[+-]\\d\\d(:?\\d\\d)?)$' then
        wanted := 'a time in ISO-8601 with its zone';
      else
        begin
          perform plain::timestamptz;
        exception when others then
          wanted := 'a time that exists';
        end;
      end if;
    elsif option = 'partition_key' then
      if length(plain) > 255 or plain !~ '^[^:{}[:cntrl:]]+$' or plain ~ '^(dlq|command|backfill|__.*__)$' then
        wanted := 'at most 255 characters, none of them : { } or a control character, and no reserved word';
      end if;
    end if;
    if wanted is not null then
      raise exception using errcode = '22023', message = caller || ': option "' || option || '" must be ' || wanted;
    end if;
  end loop;
end
$body$`;
