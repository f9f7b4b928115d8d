import { Redis } from 'ioredis';
import type { TlsConfig } from '../config/config.ts';
import type { BackoffPolicy } from '../runtime/backoff.ts';
import { backoff } from '../runtime/backoff.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { MisconfiguredError, UnavailableError } from '../runtime/errors.ts';
import type { RedisCommand, RedisReply } from './reply-of-redis.ts';
import { numberOf, RedisReplyError, withoutCommand } from './reply-of-redis.ts';
import { redisAddressOf } from './server-address.ts';
import { isTlsFault, tlsOptions } from './tls-files.ts';
import { within } from './within.ts';

export interface RedisConnectionConfig {
  /** For error texts: `broker "default"`. */
  readonly name: string;
  /** Holds a password: never logged. */
  readonly uri: string;
  readonly tls: TlsConfig | null;
  readonly connectTimeoutMs: Millis;
  /** The bound of every command that does not state its own. */
  readonly commandTimeoutMs: Millis;
  /** What CLIENT LIST shows. */
  readonly clientName: string;
}

export interface RedisConnectionDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Told once an outage, with its cause. */
  readonly onLost: (error: Error) => void;
  /** Told when an outage is over. */
  readonly onRestored: () => void;
}

export interface AskOptions {
  /** Past it the socket is destroyed and the outcome unknown. Default: the connection's `commandTimeoutMs`. */
  readonly boundMs?: Millis;
  /** Bulk strings as bytes instead of text. */
  readonly bytes?: boolean;
}

/**
 * One connection, made when it is first needed, that comes back by itself and never sends a command twice. Every method throws UnavailableError when
 * there is no connection in time, when it is lost before the answer, or when the answer takes too long: then the
 * command may have been carried out.
 */
export interface RedisConnection {
  /** Resolves when commands can be sent, or as soon as `signal` aborts. Throws RedisReplyError if the server turned us away. */
  ready(signal?: AbortSignal): Promise<void>;
  /** One command. Throws RedisReplyError when the server says no. */
  ask(command: RedisCommand, options?: AskOptions): Promise<RedisReply>;
  /** Several in one round trip; each answer, or why there is none, in its place. */
  askAll(commands: readonly RedisCommand[], options?: AskOptions): Promise<readonly (RedisReply | Error)[]>;
  /** The server's number for this connection, or null where it does not tell. */
  clientId(): number | null;
  /** Destroys the socket: whatever is under way fails, and a new connection is made. */
  drop(): void;
  close(): void;
}

/** Soon enough that everything goes on within two seconds of the server's return. */
const reconnecting: BackoffPolicy = { baseMs: 50, factor: 2, maxMs: 1_000, jitter: 0.25 };

/**
 * connecting ──handshake ok──▶ ready ──socket closed, or an answer took too long──▶ connecting … closed
 *
 * The client of ioredis is kept on a short lead: no offline queue, no resending after a reconnect (it would publish an
 * entry twice without an error), no time-outs of its own (they settle the promise and keep the dead socket). AUTH and
 * SELECT are sent here and their answers heeded, since ioredis goes on in database 0 when SELECT fails.
 */
export function createRedisConnection(config: RedisConnectionConfig, deps: RedisConnectionDeps): RedisConnection {
  const { name, uri, tls, connectTimeoutMs, commandTimeoutMs, clientName } = config;
  const { clock, random, onLost, onRestored } = deps;
  const { host, port, username, password, database } = redisAddressOf(uri);
  const waiting = new Set<{ readonly go: () => void; readonly fail: (error: Error) => void }>();
  let state: 'connecting' | 'ready' | 'closed' = 'connecting';
  let attempts = 0;
  let handshakes = 0;
  let lost = false;
  let started = false;
  let id: number | null = null;

  const client = new Redis({
    host,
    port,
    ...(tls === null ? {} : { tls: tlsOptions(tls) }),
    connectTimeout: connectTimeoutMs,
    keepAlive: 15_000,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableReadyCheck: false,
    disableClientInfo: true,
    disconnectTimeout: 100,
    lazyConnect: true,
    retryStrategy: () => {
      attempts += 1;
      return backoff(reconnecting, attempts, random);
    },
  });
  client.on('error', (error) => failed(error));
  client.on('ready', () => handshake());
  client.on('close', () => {
    // Of an attempt that fails, and of a socket that was dropped, the reason is known already.
    if (state === 'ready') failed(new Error('the server closed the connection'));
  });

  function handshake(): void {
    handshakes += 1;
    const mine = handshakes;
    const greeting: RedisCommand[] = [['PING'], ['CLIENT', 'ID'], ['CLIENT', 'SETNAME', clientName]];
    if (database !== 0) greeting.unshift(['SELECT', database]);
    if (password !== null) greeting.unshift(username === null ? ['AUTH', password] : ['AUTH', username, password]);
    bounded(send(greeting, {}), connectTimeoutMs, greeting).then(
      (replies) => {
        if (mine !== handshakes || state === 'closed') return;
        // A server without CLIENT is good enough; without the others it is not ours.
        const refusal = replies.slice(0, -2).find((reply) => reply instanceof Error);
        if (refusal instanceof Error) return reject(refusal);
        id = numberOf(replies.at(-2));
        accepted();
      },
      (error) => {
        if (mine === handshakes) reject(withoutCommand(error));
      },
    );
  }

  /** Ends the connection under way. `disconnect` would wait for the other end, and may stop the reconnecting for good. */
  function reject(error: Error): void {
    failed(error);
    client.stream?.destroy();
  }

  function accepted(): void {
    state = 'ready';
    attempts = 0;
    for (const { go } of waiting) go();
    waiting.clear();
    if (lost) onRestored();
    lost = false;
  }

  /** The connection, or an attempt at one, has come to nothing. ioredis makes the next attempt. */
  function failed(error: Error): void {
    if (state === 'closed') return;
    handshakes += state === 'ready' ? 1 : 0;
    state = 'connecting';
    id = null;
    const reason = withoutCommand(error);
    for (const { fail } of waiting) fail(reason);
    waiting.clear();
    if (!lost) onLost(reason);
    lost = true;
  }

  async function ready(signal?: AbortSignal): Promise<void> {
    if (state === 'ready' || signal?.aborted) return;
    if (state === 'closed') throw unavailable('redis_closed', 'the connection was closed', null);
    if (!started) {
      started = true;
      // What becomes of it is told by the events.
      client.connect().catch(() => undefined);
    }
    const over = new AbortController();
    const connected = new Promise<void>((go, fail) => {
      waiting.add({ go, fail });
      signal?.addEventListener('abort', () => go(), { signal: over.signal });
    });
    try {
      await within(clock, connectTimeoutMs, connected, () => new Error(`no answer in ${connectTimeoutMs} ms`));
    } catch (error) {
      if (error instanceof RedisReplyError) throw error;
      const reason = withoutCommand(error);
      if (isTlsFault(reason)) throw misconfigured(reason);
      throw unavailable('redis_unreachable', `Redis cannot be reached: ${reason.message}`, reason);
    } finally {
      over.abort();
    }
  }

  async function askAll(commands: readonly RedisCommand[], options: AskOptions = {}) {
    await ready();
    const { boundMs = commandTimeoutMs } = options;
    return bounded(send(commands, options), boundMs, commands);
  }

  async function send(commands: readonly RedisCommand[], { bytes = false }: AskOptions) {
    const pipeline = client.pipeline();
    for (const [command, ...args] of commands) {
      if (bytes) pipeline.callBuffer(command, args);
      else pipeline.call(command, args);
    }
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, reply], index) =>
      error === null ? (reply as RedisReply) : answer(error, commands[index]),
    );
  }

  function answer(error: Error, command: RedisCommand | undefined): Error {
    const cause = withoutCommand(error);
    if (cause instanceof RedisReplyError) return cause;
    // The socket may be known to be dead before its close is told: who asks again must wait for the next one.
    if (state === 'ready') reject(new Error('the connection was lost'));
    const text = `the connection was lost before ${command?.[0]} was answered: it may have been carried out`;
    return unavailable('redis_connection_lost', text, cause);
  }

  function bounded<T>(call: Promise<T>, boundMs: Millis, commands: readonly RedisCommand[]): Promise<T> {
    return within(clock, boundMs, call, () => {
      const text = `${commands.at(-1)?.[0]} was not answered within ${boundMs} ms: it may have been carried out`;
      reject(new Error(text));
      return unavailable('redis_timeout', text, null);
    });
  }

  const unavailable = (code: string, text: string, cause: unknown) =>
    new UnavailableError(code, `${name}: ${text}`, cause === null ? {} : { cause });

  const misconfigured = (cause: Error) =>
    new MisconfiguredError('redis_tls', `${name}: TLS: ${cause.message}`, { cause });

  return {
    ready,
    askAll,
    async ask(command, options) {
      const [reply = null] = await askAll([command], options);
      if (reply instanceof Error) throw reply;
      return reply;
    },
    clientId: () => id,
    drop: () => reject(new Error('the connection was given up')),
    close() {
      if (state === 'closed') return;
      state = 'closed';
      for (const { fail } of waiting) fail(new Error('the connection was closed'));
      waiting.clear();
      client.disconnect();
      client.stream?.destroy();
    },
  };
}
