import type { Ask } from '../broker/redis-ask.ts';
import { createAsk } from '../broker/redis-ask.ts';
import type { RedisBrokerConfig } from '../broker/redis-connections.ts';
import { createConnections } from '../broker/redis-connections.ts';
import { createRedisKeys } from '../broker/redis-keys.ts';
import { listOf, numberOf, textOf } from '../connection/reply-of-redis.ts';
import { redisAddressOf } from '../connection/server-address.ts';
import type { Clock, Millis, Random } from '../runtime/clock.ts';
import { DomaindError, UnavailableError } from '../runtime/errors.ts';
import type { BrokerFacts, RedisServerFacts, StreamFacts, Unreached, WantedGroup } from './facts.ts';
import { redisStreamFacts } from './redis-stream-facts.ts';

/** A stream that handlers read, or that is only written to. */
export interface AskedStream {
  readonly stream: string;
  readonly wanted: readonly WantedGroup[];
  readonly retention: number | null;
}

export interface AskedBroker {
  readonly streams: readonly AskedStream[];
  readonly foreign: boolean;
  /** The domain's normalised name: its other streams are found by it. */
  readonly domain: string;
}

/** Gathers what is known of a broker and its streams, on a connection of its own. Never throws for a server's fault. */
export async function redisFacts(
  config: RedisBrokerConfig,
  asked: AskedBroker,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<BrokerFacts> {
  const { name, provider } = config;
  const connection = createConnections(config, { clock, random, notice: () => undefined })('domaind:doctor');
  const ask = createAsk(connection, name);
  const { keyOf } = createRedisKeys(config.hashTag);
  try {
    const first = asked.streams[0]?.stream ?? `${asked.domain}::doctor`;
    const server = await serverFacts(config, keyOf(`${first}:__doctor__`), ask, clock);
    const streams: StreamFacts[] = [];
    if (provider === 'redis') {
      const known = new Set(asked.streams.map(({ stream }) => stream));
      const others = (await ownStreams(asked.domain, ask)).filter((stream) => !known.has(stream));
      const all = [...asked.streams, ...others.map((stream) => ({ stream, wanted: [], retention: null }))];
      for (const each of all) streams.push(await redisStreamFacts(each, ask, keyOf));
    }
    return { name, provider, foreign: asked.foreign, server, streams };
  } catch (error) {
    if (!(error instanceof DomaindError)) throw error;
    return { name, provider, foreign: asked.foreign, server: unreachedBy(error), streams: [] };
  } finally {
    connection.close();
  }
}

export const unreachedBy = (error: DomaindError): Unreached => ({
  code: error.code,
  message: error.message,
  away: error instanceof UnavailableError,
});

async function serverFacts(
  config: RedisBrokerConfig,
  probe: string,
  ask: Ask,
  clock: Clock,
): Promise<RedisServerFacts> {
  await ask.one(['PING']);
  const before = clock.now();
  const [time = null] = await ask.all([['TIME']]);
  const roundTrip: Millis = clock.now() - before;
  const [info = null, save = null, write = null] = await ask.all([
    ['INFO'],
    ['CONFIG', 'GET', 'save'],
    // Needs all that an append needs, and appends to nothing: there is no such stream.
    ['XADD', probe, 'NOMKSTREAM', '*', 'data', ''],
  ]);
  const facts = infoIn(info instanceof Error ? '' : (textOf(info) ?? ''));
  const number = (name: string): number | null => (facts.has(name) ? Number(facts.get(name)) : null);
  const [seconds, micros] = listOf(time);
  const there =
    numberOf(seconds) === null ? null : Number(numberOf(seconds)) * 1_000 + Number(numberOf(micros)) / 1_000;
  const host = redisAddressOf(config.uri).host;
  return {
    version: facts.get('redis_version') ?? null,
    role: facts.get('role') ?? null,
    replicas: number('connected_slaves') ?? 0,
    evictionPolicy: facts.get('maxmemory_policy') ?? null,
    appendOnly: facts.has('aof_enabled') ? facts.get('aof_enabled') === '1' : null,
    snapshots: save instanceof Error ? null : (textOf(listOf(save)[1]) ?? '') !== '',
    lastSnapshotFailed: facts.get('rdb_last_bgsave_status') === 'err',
    lastAppendFailed: facts.get('aof_last_write_status') === 'err',
    usedBytes: number('used_memory'),
    maxBytes: number('maxmemory') || null,
    systemBytes: number('total_system_memory'),
    skewMs: there === null ? 0 : Math.round(there - (before + roundTrip / 2)),
    skewErrorMs: Math.ceil(roundTrip / 2),
    refusal: write instanceof Error && !write.message.startsWith('NOPERM') ? write.message : null,
    forbidden: await forbiddenBy(ask, probe),
    encrypted: config.tls !== null,
    local: isLocal(host),
  };
}

/** Each does nothing to a stream that is not there: what it is refused with says whether it may be done. */
async function forbiddenBy(ask: Ask, key: string): Promise<readonly string[]> {
  const commands = [
    ['XADD', key, 'NOMKSTREAM', '*', 'data', ''],
    ['XREADGROUP', 'GROUP', 'doctor', 'doctor', 'COUNT', 1, 'STREAMS', key, '>'],
    ['XGROUP', 'CREATE', key, 'doctor', '0'],
    ['XACK', key, 'doctor', '0-0'],
    ['XCLAIM', key, 'doctor', 'doctor', 0, '0-0'],
    ['XPENDING', key, 'doctor'],
    ['XINFO', 'GROUPS', key],
    ['XRANGE', key, '-', '+', 'COUNT', 1],
    ['XLEN', key],
    ['XDEL', key, '0-0'],
    ['XTRIM', key, 'MAXLEN', 0],
    ['HDEL', key, 'doctor'],
    ['EVAL', 'return 1', 1, key],
  ] as const;
  const answers = await ask.all(commands);
  return commands.flatMap(([command, sub], index) => {
    const answer = answers[index];
    if (!(answer instanceof Error) || !answer.message.startsWith('NOPERM')) return [];
    return [command === 'XGROUP' || command === 'XINFO' ? `${command}|${sub}` : command];
  });
}

/** Streams of this domain that no handler reads; the search ends after so many keys. */
async function ownStreams(domain: string, ask: Ask): Promise<readonly string[]> {
  const found: string[] = [];
  let cursor = '0';
  for (let step = 0; step < 100; step += 1) {
    const [answer = null] = await ask.all([
      ['SCAN', cursor, 'MATCH', `*${domain}::*`, 'COUNT', 1_000, 'TYPE', 'stream'],
    ]);
    if (answer instanceof Error) break;
    const [next, keys] = listOf(answer);
    found.push(...listOf(keys).flatMap((key) => textOf(key)?.replace(/^\{([^}]*)\}/, '$1') ?? []));
    cursor = textOf(next) ?? '0';
    if (cursor === '0') break;
  }
  return [...new Set(found)].filter((name) => !name.endsWith(':dlq') && !name.includes(':__')).sort();
}

const infoIn = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split('\r\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );

export const isLocal = (host: string): boolean =>
  host === 'localhost' || host.startsWith('127.') || host === '::1' || host.startsWith('/');
