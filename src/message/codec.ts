import { DecodeError } from '../runtime/errors.ts';
import { checksumOf } from './checksum.ts';
import { jsonFault } from './json-fault.ts';
import { memberIn } from './json-member.ts';
import type { Json, JsonObject, Message, Metadata } from './message.ts';
import { categoryOfStream } from './stream-name.ts';
import { parseTypeName } from './type-name.ts';

/** The body of an entry, from the texts of its two parts, passed on verbatim: parsed and written anew, 1.0 becomes 1 and large numbers are rounded. */
export const composeBody = (dataText: string, metadataText: string): string =>
  `{"data": ${dataText}, "metadata": ${metadataText}}`;

export const encode = (data: Json, metadata: Metadata): string =>
  composeBody(JSON.stringify(data), JSON.stringify(metadata));

/**
 * The message in an entry's body. Throws DecodeError with the path of the fault, never with a piece of the body:
 * `invalid_json`, `invalid_envelope`, `checksum_mismatch`. Every key that a reader needs is checked; those it can do
 * without may be absent. A checksum is that of the payload's text; null is not checked.
 */
export function decode(body: string): Message {
  const parsed = parseObject(body);
  const message = messageIn(parsed);
  verify(body, checksumIn(message));
  return message;
}

/** What is not null is to be verified, on the text of the body. */
export const checksumIn = ({ metadata }: Message): Json => optionalObject(metadata.envelope)['checksum'] ?? null;

/** The same of a body that was parsed: `data` and `metadata`. Its checksum is not verified. Throws DecodeError `invalid_envelope`. */
export function messageIn(parsed: JsonObject): Message {
  const metadata = objectAt(parsed, 'metadata');
  const headers = objectAt(metadata, 'headers', 'metadata.');
  const domain = optionalObject(metadata['domain']);
  const id = stringAt(headers, 'id');
  const type = stringAt(headers, 'type');
  const stream = stringAt(headers, 'stream');
  const name = parseTypeName(type);
  if (name === null) throw invalid('metadata.headers.type must be <Domain>.<Class>.v<n>');
  const kind = domain['kind'] === 'COMMAND' ? 'COMMAND' : 'EVENT';
  const data = objectAt(parsed, 'data');
  return {
    id,
    kind,
    type,
    name: name.name,
    version: name.version,
    stream,
    category: categoryOfStream(stream),
    time: typeof headers['time'] === 'string' ? headers['time'] : null,
    data,
    // Checked above in what is relied on; the rest is for handlers to read as it came.
    metadata: metadata as unknown as Metadata,
  };
}

/** The error of a body that JSON.parse has refused, with the place. Without its cause: the text of that quotes the body. */
export function notJson(body: string): DecodeError {
  const fault = jsonFault(body);
  const where = fault === null ? '' : ` (at character ${fault.offset})`;
  return new DecodeError('invalid_json', `the body is not JSON${where}`);
}

function parseObject(body: string): JsonObject {
  let parsed: Json;
  try {
    parsed = JSON.parse(body) as Json;
  } catch {
    throw notJson(body);
  }
  if (!isObject(parsed)) throw invalid('the body must be an object');
  return parsed;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function objectAt(parent: JsonObject, key: string, path = ''): JsonObject {
  const value = parent[key];
  if (!isObject(value)) throw invalid(`${path}${key} must be an object`);
  return value;
}

function verify(body: string, checksum: Json): void {
  if (checksum === null) return;
  if (typeof checksum !== 'string') throw invalid('metadata.envelope.checksum must be a string or null');
  const span = memberIn(body, 'data');
  if (span === null || checksumOf(body.slice(span.start, span.end)) === checksum.toLowerCase()) return;
  throw new DecodeError('checksum_mismatch', 'data is not what metadata.envelope.checksum was made of');
}

const optionalObject = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

function stringAt(headers: JsonObject, key: string): string {
  const value = headers[key];
  if (typeof value !== 'string' || value === '')
    throw invalid(`metadata.headers.${key} must be a string that is not empty`);
  return value;
}

const invalid = (fault: string): DecodeError => new DecodeError('invalid_envelope', fault);
