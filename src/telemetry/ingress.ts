import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IngressConfig } from '../config/config.ts';
import type { Json, JsonObject } from '../message/message.ts';
import { formatTraceparent } from '../message/traceparent.ts';
import {
  InvalidMessageError,
  isErrorNamed,
  MisconfiguredError,
  UnavailableError,
  UsageError,
} from '../runtime/errors.ts';
import { toFailure } from '../runtime/failure.ts';
import type { Accept, Accepted } from './accept.ts';
import type { Emit } from './event.ts';
import type { Answer, HttpLimits, HttpServer } from './http-server.ts';
import { createHttpServer, refusal } from './http-server.ts';
import { readPayload } from './ingress-body.ts';
import type { IngressRequest } from './ingress-request.ts';
import { isAnswer, readRequest } from './ingress-request.ts';

export interface IngressDeps {
  readonly accept: Accept;
  readonly emit: Emit;
  /** Other than the usual 5 s for the headers, 30 s for a request, looked at every second. */
  readonly limits?: HttpLimits;
}

const limitsOfSenders: HttpLimits = { headersTimeoutMs: 5_000, requestTimeoutMs: 30_000, checkEveryMs: 1_000 };
const maxConnections = 256;
const retryAfterSeconds = 5;

/**
 * `[server.ingress]`: commands, events and external messages by HTTP, answered 202 once they are safe. With a token,
 * every request must bear it. Without one, which is for loopback only, the Host must be loopback too: else any page
 * that a browser on this machine shows could send commands under a name of its own. Bodies are never logged.
 * Throws MisconfiguredError where the host is not loopback and there is no token.
 */
export function createIngressServer(config: Omit<IngressConfig, 'enabled'>, deps: IngressDeps): HttpServer {
  const { host, port, token, maxBodyBytes } = config;
  const { accept, emit, limits = limitsOfSenders } = deps;
  if (token === null && !isLoopback(host)) {
    throw new MisconfiguredError(
      'ingress_token_missing',
      `[server.ingress] token: needed because ${host} is not loopback; set it, or set host = "127.0.0.1"`,
    );
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const answer = await accepted(request, response);
    if (answer.status >= 400) emit({ event: 'ingress.refused', status: answer.status, reason: reasonOf(answer) });
    return answer;
  }

  async function accepted(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const { method, url = '/', headers } = request;
    const stranger = token === null ? faultOfHost(headers.host ?? '') : faultOfToken(headers.authorization, token);
    if (stranger !== null) return stranger;
    const wanted = readRequest(method, url, headers);
    if (isAnswer(wanted)) return wanted;
    const payload = await readPayload(request, response, maxBodyBytes, wanted.kind === 'stream' ? 'any' : 'object');
    if (isAnswer(payload)) return payload;
    return handOver(wanted, payload.json);
  }

  async function handOver(wanted: IngressRequest, json: Json): Promise<Answer> {
    try {
      const { messageId, stream, handled } = await passOn(wanted, json);
      emit({ event: 'ingress.accepted', kind: wanted.kind, stream, message_id: messageId });
      const headers = traceOf(wanted);
      if (handled !== undefined) return { status: 200, body: bodyOf(messageId, handled.value), headers };
      return { status: 202, body: `${JSON.stringify({ message_id: messageId })}\n`, headers };
    } catch (error) {
      if (error instanceof UsageError) return refusal(422, 'invalid_request', error.message);
      if (error instanceof InvalidMessageError) return refusal(422, 'invalid_payload', error.message);
      // Only of one that was handled here: its handler speaks to the sender.
      if (isErrorNamed(error, 'NonRetryableError')) return refusal(422, 'refused', toFailure(error).message);
      if (!(error instanceof UnavailableError)) throw error;
      const headers = { 'Retry-After': String(retryAfterSeconds) };
      return refusal(503, 'unavailable', 'the message could not be kept now; send it again', { headers });
    }
  }

  function passOn(wanted: IngressRequest, json: Json): Promise<Accepted> {
    if (wanted.kind === 'stream') return accept.publish(wanted.stream, json);
    // Of these two, readPayload lets objects through only.
    const payload = json as JsonObject;
    if (wanted.kind === 'command') return accept.command(wanted.name, wanted.category, payload, wanted.options);
    return accept.event(wanted.name, wanted.category, wanted.id, payload, wanted.options);
  }

  return createHttpServer({ server: 'ingress', host, port, maxConnections, limits }, { respond, emit });
}

/** Whether a host, as configured or as in a Host header without its port, is this machine's own. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);

const faultOfHost = (host: string): Answer | null =>
  isLoopback(host.replace(/:\d+$/, '').toLowerCase())
    ? null
    : refusal(403, 'forbidden_host', 'without a token, only requests to localhost are served');

/** Compared by digest, so that neither the length nor the time tells anything of the token. */
function faultOfToken(authorization: string | undefined, token: string): Answer | null {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1] ?? '';
  if (timingSafeEqual(digest(given), digest(token))) return null;
  return refusal(401, 'unauthorized', 'send Authorization: Bearer <token>', {
    headers: { 'WWW-Authenticate': 'Bearer realm="domaind"' },
  });
}

/** The trace that the message belongs to from here on, told to the sender. */
function traceOf(wanted: IngressRequest): { readonly [name: string]: string } {
  const trace = wanted.kind === 'stream' ? null : wanted.options.traceparent;
  return trace === null ? {} : { traceparent: formatTraceparent(trace) };
}

/** The value as far as it is JSON. */
function bodyOf(messageId: string, value: unknown): string {
  try {
    return `${JSON.stringify({ message_id: messageId, value: value ?? null })}\n`;
  } catch {
    return `${JSON.stringify({ message_id: messageId, value: null })}\n`;
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest();

const reasonOf = ({ body }: Answer): string => (JSON.parse(body) as { readonly error: string }).error;
