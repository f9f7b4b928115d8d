import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Millis } from '../runtime/clock.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Emit } from './event.ts';

/** What a request is answered with. A body is JSON text, unless `contentType` says otherwise. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
  readonly headers?: { readonly [name: string]: string };
  /** Ends the connection after the answer: because what else comes on it is not going to be read. */
  readonly close?: boolean;
}

export interface HttpServerConfig {
  readonly server: 'health' | 'ingress';
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Connections beyond are closed at once. */
  readonly maxConnections: number;
  readonly limits: HttpLimits;
}

/** How long a client may take. Node's own defaults are 60 s and 300 s, looked at every 30 s. */
export interface HttpLimits {
  readonly headersTimeoutMs: Millis;
  readonly requestTimeoutMs: Millis;
  readonly checkEveryMs: Millis;
}

export interface HttpServerDeps {
  readonly respond: (request: IncomingMessage, response: ServerResponse) => Promise<Answer>;
  readonly emit: Emit;
}

export interface HttpServer {
  readonly name: string;
  /** Listens; the port. Throws MisconfiguredError with the key of domain.toml where that cannot be. */
  start(): Promise<number>;
  /** Takes no more connections and resolves when the requests in hand are answered; `hard` cuts them short. */
  stop(hard?: AbortSignal): Promise<void>;
}

const maxHeaderBytes = 8_192;
const keepAliveMs: Millis = 2_000;
const maxRequestsPerConnection = 1_000;

/** A small HTTP server that bad clients cannot hold up: bounded connections, headers, times. */
export function createHttpServer(config: HttpServerConfig, deps: HttpServerDeps): HttpServer {
  const { server: name, host, port, maxConnections, limits } = config;
  const { respond, emit } = deps;
  const failed = (error: unknown) => emit({ event: 'http.failed', server: name, err: toError(error) });

  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkEveryMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
  });
  server.maxConnections = maxConnections;
  server.maxRequestsPerSocket = maxRequestsPerConnection;
  // A client that does not read its answer holds it in memory for this long.
  server.timeout = limits.requestTimeoutMs;

  const open = new Set<Socket>();
  /** Connections whose request is being answered. */
  const busy = new Set<Socket>();
  let stopped: Promise<void> | null = null;

  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    busy.add(socket);
    response.on('close', () => busy.delete(socket));
    response.on('error', () => undefined);
    const answered = (answer: Answer) =>
      send(request, response, stopped === null ? answer : { ...answer, close: true });
    respond(request, response).then(answered, (error: unknown) => {
      failed(error);
      answered(refusal(500, 'internal', 'the request failed; the log says why'));
    });
  };
  server.on('request', serve);
  server.on('checkContinue', serve);
  server.on('connect', (_, socket: Socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });

  return {
    name: `${name} server`,
    async start() {
      await new Promise<void>((resolve, reject) => {
        server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(config, cause)));
        server.listen({ host, port }, () => {
          server.removeAllListeners('error');
          server.on('error', failed);
          resolve();
        });
      });
      const { port: bound } = server.address() as AddressInfo;
      emit({ event: 'http.listening', server: name, host, port: bound });
      return bound;
    },
    stop(hard) {
      const cut = () => {
        for (const socket of open) socket.destroy();
      };
      stopped ??= new Promise((resolve) => {
        server.close(() => resolve());
        // Node's closeIdleConnections leaves those that have not said anything yet.
        for (const socket of open) if (!busy.has(socket)) socket.destroy();
      });
      if (hard?.aborted) cut();
      else hard?.addEventListener('abort', cut, { once: true });
      return stopped.finally(() => hard?.removeEventListener('abort', cut));
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.destroyed || response.headersSent) return;
  const { status, body, contentType = 'application/json; charset=utf-8', headers = {}, close = false } = answer;
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(close || !request.complete ? { Connection: 'close' } : {}),
    ...headers,
  });
  response.end(bytes);
}

/** An answer that says no: a stable code, and a sentence. */
export const refusal = (
  status: number,
  error: string,
  message: string,
  more: Pick<Answer, 'headers' | 'close'> = {},
): Answer => ({ status, body: `${JSON.stringify({ error, message })}\n`, ...more });

function cannotListen({ server, host, port }: HttpServerConfig, cause: NodeJS.ErrnoException): MisconfiguredError {
  const key = `[server.${server}]`;
  const at = `port ${port} of ${host}`;
  switch (cause.code) {
    case 'EADDRINUSE':
      return new MisconfiguredError(
        'port_in_use',
        `${key} port: ${at} is in use by another process; stop that one, or name another port (0 takes any free one)`,
        { cause },
      );
    case 'EACCES':
    case 'EPERM':
      return new MisconfiguredError(
        'port_not_permitted',
        `${key} port: this user may not listen on ${at}; name a port above 1023`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new MisconfiguredError(
        'address_not_available',
        `${key} host: ${host} is not an address of this machine; 127.0.0.1 serves this machine only, 0.0.0.0 all`,
        { cause },
      );
    default:
      return new MisconfiguredError('cannot_listen', `${key}: cannot listen on ${at} (${cause.code ?? 'unknown'})`, {
        cause,
      });
  }
}
