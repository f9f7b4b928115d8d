import { RedisReplyError } from '../connection/reply-of-redis.ts';
import { DomaindError, MisconfiguredError, UnavailableError } from '../runtime/errors.ts';

/**
 * What a reply that is an error means:
 *
 *   no_group       the group or its stream is gone: make it again
 *   too_large      no server would take an entry of this size; the connection is closed after it
 *   refused        the fault of this key or entry: others would be accepted
 *   demoted        this server is a replica now: leave it, and look again for the one that is not
 *   unavailable    the server's own trouble: nothing is wrong with the command, later it will do
 *   misconfigured  waiting does not mend it
 */
export type RedisFault = 'no_group' | 'too_large' | 'refused' | 'demoted' | 'unavailable' | 'misconfigured';

/** Replies that begin with one of `codes`, or carry it on from a script: `ERR user_script:3: OOM …`. */
const coded = (codes: string): RegExp => new RegExp(`(?:^|[:-] ?-?)(?:${codes})\\b`);

/** The first row that fits decides. */
const table: readonly (readonly [RedisFault, RegExp])[] = [
  ['no_group', coded('NOGROUP')],
  ['no_group', /UNBLOCKED the stream key no longer exists/],
  ['too_large', /Protocol error: invalid (?:bulk|multibulk) length|Elements are too large to be stored/],
  ['refused', coded('WRONGTYPE')],
  ['refused', /exhausted the last possible ID/],
  ['refused', /NOPERM.*\bkeys?\b|can't access at least one of the keys/],
  ['demoted', coded('READONLY|MASTERDOWN|UNBLOCKED')],
  ['unavailable', coded('OOM|LOADING|BUSY|CLUSTERDOWN|NOREPLICAS|MOVED|ASK|TRYAGAIN|MISCONF|EXECABORT')],
  ['unavailable', /max number of clients|[Ss]cript killed|shutting down/],
  ['misconfigured', /(?:)/],
];

/** The meaning of what a connection threw, or put in the place of an answer. No answer at all is `unavailable`. */
export function faultOf(error: Error): RedisFault {
  if (error instanceof MisconfiguredError) return 'misconfigured';
  if (!(error instanceof RedisReplyError)) return 'unavailable';
  return table.find(([, pattern]) => pattern.test(error.message))?.[0] ?? 'misconfigured';
}

/** The error that a port's caller sees. `what` was being done, for the text: `broker "default": XREADGROUP`. */
export function translated(error: unknown, what: string): DomaindError {
  if (error instanceof DomaindError) return error;
  if (!(error instanceof RedisReplyError)) return new UnavailableError('redis_failure', what, { cause: error });
  const code = `redis_${error.code.toLowerCase()}`;
  const text = `${what}: ${error.message}`;
  switch (faultOf(error)) {
    case 'no_group':
    case 'demoted':
    case 'unavailable':
      return new UnavailableError(code, text, { cause: error });
    case 'too_large':
    case 'refused':
    case 'misconfigured':
      return new MisconfiguredError(code, text, { cause: error });
  }
}

/** Whether a port's error says that the keys of one command are on several servers of a cluster. */
export const isAcrossSlots = (error: unknown): boolean =>
  error instanceof DomaindError && error.cause instanceof RedisReplyError && /\bCROSSSLOT\b/.test(error.cause.message);

/** Whether a port's error says that the group or its stream is gone: the one reply that is mended here. */
export const isGroupLost = (error: unknown): boolean =>
  error instanceof UnavailableError && error.cause instanceof RedisReplyError && faultOf(error.cause) === 'no_group';
