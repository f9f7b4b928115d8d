import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { TraceParent } from '../message/message.ts';
import { isPartitionKey, isStreamName } from '../message/stream-name.ts';
import { parseTraceparent } from '../message/traceparent.ts';
import { isMessageName } from '../message/type-name.ts';
import type { IngressCommandOptions, IngressEventOptions, IngressOptions } from './accept.ts';
import type { Answer } from './http-server.ts';
import { refusal } from './http-server.ts';

/** What a request asks for, told from its path, its query and its headers: all but the payload. */
export type IngressRequest =
  | {
      readonly kind: 'command';
      readonly name: string;
      readonly category: string;
      readonly options: IngressCommandOptions;
    }
  | {
      readonly kind: 'event';
      readonly name: string;
      readonly category: string;
      readonly id: string;
      readonly options: IngressEventOptions;
    }
  | { readonly kind: 'stream'; readonly stream: string };

export const isAnswer = (value: object): value is Answer => 'status' in value;

const routes = 'POST /commands/<category>/<Type>, POST /events/<category>/<id>/<Type>, POST /streams/<stream>';

/** The request of `method` on `url`, or the answer that says what is wrong with it. Reads no body. */
export function readRequest(
  method: string | undefined,
  url: string,
  headers: IncomingHttpHeaders,
): IngressRequest | Answer {
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  const parts = path.split('/').slice(1).map(decodePart);
  const [kind, ...names] = parts;
  const wanted = { commands: 2, events: 3, streams: 1 }[String(kind)];
  if (parts.includes(null)) return refusal(400, 'invalid_path', 'the path is not percent-encoded UTF-8');
  if (names.length !== wanted) return refusal(404, 'not_found', `there is ${routes}`);
  if (method !== 'POST') return refusal(405, 'method_not_allowed', 'POST only', { headers: { Allow: 'POST' } });
  const said = createSaid(new URLSearchParams(query), headers);
  const request = toRequest(String(kind), names.map(String), said);
  const fault = said.fault();
  return fault === null ? request : refusal(422, 'invalid_request', fault);
}

function toRequest(kind: string, names: readonly string[], said: Said): IngressRequest {
  const [first = '', second = '', third = ''] = names;
  if (kind === 'streams') return { kind: 'stream', stream: said.stream(first) };
  const category = said.category(first);
  if (kind === 'commands') {
    return { kind: 'command', category, name: said.name(second), options: { ...common(said), ...ofCommand(said) } };
  }
  const published = said.truth('published');
  return {
    kind: 'event',
    category,
    id: said.id(second),
    name: said.name(third),
    options: { ...common(said), published },
  };
}

const common = (said: Said): IngressOptions => ({
  version: said.integer('version', 1, 999_999_999),
  priority: said.integer('priority', -1_000_000, 1_000_000),
  partitionKey: said.text('partition_key', (key) => isPartitionKey(key, 'backfill'), 'the name of a partition'),
  correlationId: said.text('correlation_id', isToken, 'up to 255 printable characters', 'x-correlation-id'),
  traceparent: said.traceparent(),
  deliverAt: said.text('deliver_at', isInstant, 'an instant such as 2026-01-31T12:00:00Z'),
});

const ofCommand = (said: Said): Omit<IngressCommandOptions, keyof IngressOptions> => ({
  id: said.text('id', isStreamName, 'an identifier without spaces and braces'),
  idempotencyKey: said.text('idempotency_key', isToken, 'up to 255 printable characters', 'idempotency-key'),
  deadline: said.text('deadline', isInstant, 'an instant such as 2026-01-31T12:00:00Z'),
});

const isToken = (text: string) => /^[^\p{Cc}]{1,255}$/u.test(text);

/** An ISO-8601 instant with its zone, on a day that exists. */
function isInstant(text: string): boolean {
  const [, day] = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  if (day === undefined || Number.isNaN(Date.parse(text))) return false;
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

type Said = ReturnType<typeof createSaid>;

/** What the query and the headers say, read one by one; keeps the first fault, and knows what nobody asked for. */
function createSaid(query: URLSearchParams, headers: IncomingHttpHeaders) {
  const known = new Set<string>();
  let found: string | null = null;

  const blame = (fault: string): null => {
    found ??= fault;
    return null;
  };
  const checked = (value: string, fits: boolean, fault: string) => {
    if (!fits) blame(fault);
    return value;
  };
  function text(key: string, fits: (value: string) => boolean, form: string, header?: string): string | null {
    known.add(key);
    const [value = header === undefined ? undefined : unquoted(headers[header]), ...more] = query.getAll(key);
    if (value === undefined) return null;
    if (more.length > 0) return blame(`${key} is given twice`);
    return fits(value) ? value : blame(`${key} must be ${form}`);
  }

  return {
    text,
    integer(key: string, least: number, most: number): number | null {
      const fits = (value: string) => /^-?\d{1,10}$/.test(value) && Number(value) >= least && Number(value) <= most;
      const value = text(key, fits, `a whole number from ${least} to ${most}`);
      return value === null ? null : Number(value);
    },
    truth(key: string): boolean | null {
      const value = text(key, (each) => each === 'true' || each === 'false', 'true or false');
      return value === null ? null : value === 'true';
    },
    /** A header that is not of the form is passed over, as the W3C recommendation asks. */
    traceparent(): TraceParent | null {
      return parseTraceparent(String(headers['traceparent']));
    },
    name: (value: string) =>
      checked(value, isMessageName(value), 'the type must be the name of a class: letters, digits and _'),
    id: (value: string) => checked(value, isStreamName(value), 'the id must not be empty, or hold spaces or braces'),
    stream: (value: string) =>
      checked(value, isStreamName(value), 'the stream must not be empty, or hold spaces or braces'),
    category: (value: string) =>
      checked(
        value,
        isStreamName(value) && /^[^:-]+(?:::[^:-]+)?$/.test(value),
        'the category must be like order or bookshelf::order, without -, spaces and braces',
      ),
    fault(): string | null {
      const stray = [...query.keys()].find((key) => !known.has(key));
      if (stray !== undefined) blame(`the query may have ${[...known].join(', ') || 'nothing'}; it has another key`);
      return found;
    },
  };
}

/** A structured header has its text in quotes; most senders leave them out. */
function unquoted(header: string | string[] | undefined): string | undefined {
  const value = typeof header === 'string' ? header.trim() : undefined;
  return value === undefined ? undefined : (/^"(.*)"$/.exec(value)?.[1] ?? value);
}

function decodePart(part: string): string | null {
  return isEncoded(part) ? decodeURIComponent(part) : null;
}

/** Whether percent signs stand for UTF-8: asked first, since decodeURIComponent throws. */
function isEncoded(part: string): boolean {
  if (/%(?![0-9a-fA-F]{2})/.test(part)) return false;
  const bytes = Buffer.from(
    part.replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  return isUtf8(bytes);
}
