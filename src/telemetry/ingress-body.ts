import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isObject } from '../message/codec.ts';
import { jsonFault } from '../message/json-fault.ts';
import type { Json } from '../message/message.ts';
import type { Answer } from './http-server.ts';
import { refusal } from './http-server.ts';

/** Deeper payloads are refused: what writes them out again calls itself for each level. */
const maxDepth = 64;

/** The payload of a request, or the answer that says what is wrong with it. Never a piece of the payload in it. */
export type Payload = { readonly kind: 'payload'; readonly json: Json } | Answer;

/** Reads and checks the payload: its type, its size, its encoding, its form. What is too large is not read to its end. */
export async function readPayload(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
  form: 'object' | 'any',
): Promise<Payload> {
  const fault = faultOfHeaders(request, maxBytes);
  if (fault !== null) return fault;
  if (request.headers.expect !== undefined) response.writeContinue();
  const bytes = await readBytes(request, maxBytes);
  if (bytes === 'too large') return tooLarge(maxBytes);
  if (bytes === 'gone') return refusal(400, 'incomplete', 'the body ended before its end', { close: true });
  if (!isUtf8(bytes)) return refusal(400, 'invalid_utf8', 'the body is not UTF-8');
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  const json = parse(text);
  if (json === undefined) {
    const { line, column } = jsonFault(text) ?? { line: 1, column: 1 };
    return refusal(400, 'invalid_json', `the body is not JSON from line ${line}, column ${column}`);
  }
  if (form === 'object' && !isObject(json)) return refusal(422, 'invalid_payload', 'the body must be a JSON object');
  const wrong = faultOfJson(json, maxDepth);
  return wrong === null ? { kind: 'payload', json } : refusal(422, 'invalid_payload', wrong);
}

function faultOfHeaders({ headers }: IncomingMessage, maxBytes: number): Answer | null {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:$|;)/i.test(type)) {
    return refusal(415, 'unsupported_media_type', 'the Content-Type must be application/json');
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(type)?.[1] ?? 'utf-8';
  if (!/^utf-?8$/i.test(charset)) return refusal(415, 'unsupported_media_type', 'the charset must be utf-8');
  if (encoding !== 'identity') return refusal(415, 'unsupported_encoding', 'the body must not be compressed');
  return Number(headers['content-length'] ?? 0) > maxBytes ? tooLarge(maxBytes) : null;
}

const tooLarge = (maxBytes: number): Answer =>
  refusal(413, 'too_large', `the body may have ${maxBytes} bytes ([server.ingress] max_body_bytes)`, { close: true });

/** The body, unless it is larger than it may be or the client goes away. */
function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer | 'too large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) return void chunks.push(chunk);
      request.pause();
      request.removeAllListeners('data');
      resolve('too large');
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', () => resolve('gone'));
    request.on('close', () => resolve('gone'));
  });
}

/** JSON as it was meant, or undefined: the error of JSON.parse may hold a piece of the text. */
function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Walks a payload no deeper than it may be. `__proto__` would change what it is merged into. */
function faultOfJson(json: Json, depth: number): string | null {
  if (typeof json !== 'object' || json === null) return null;
  if (depth === 0) return `the body is nested deeper than ${maxDepth} levels`;
  for (const [key, value] of Object.entries(json)) {
    if (key === '__proto__') return 'the body must not have a key __proto__';
    const fault = faultOfJson(value, depth - 1);
    if (fault !== null) return fault;
  }
  return null;
}
