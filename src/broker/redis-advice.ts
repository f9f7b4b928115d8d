import { textOf } from '../connection/reply-of-redis.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import type { Ask } from './redis-ask.ts';

/** The first version with XAUTOCLAIM, XTRIM MINID and XPENDING IDLE. */
const oldest = { major: 6, minor: 2 };

/**
 * What endangers entries on this server although it answers: that it deletes keys when memory is short, or that they are
 * gone with the process. Nothing where INFO is not allowed. Throws UnavailableError, and MisconfiguredError for a server
 * that is older than the broker can do with.
 */
export async function adviceOf(ask: Ask, name: string): Promise<readonly string[]> {
  const [answer = null] = await ask.all([['INFO']]);
  const text = answer instanceof Error ? null : textOf(answer);
  return text === null ? [] : adviceIn(text, name);
}

/** The same of what INFO has said. */
export function adviceIn(info: string, name: string): readonly string[] {
  const facts = new Map(info.split('\r\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1)]));
  refuseOld(facts.get('redis_version'), name);
  const advice: string[] = [];
  const policy = facts.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    advice.push(
      `broker "${name}": maxmemory-policy is ${policy}, so Redis deletes keys when memory is short, messages among them: set it to noeviction`,
    );
  }
  const replicas = Number(facts.get('connected_slaves') ?? 0);
  if (facts.get('aof_enabled') === '0' && facts.get('role') === 'master' && replicas === 0) {
    advice.push(
      `broker "${name}": appendonly is no and there is no replica, so messages since the last snapshot are gone when Redis restarts: set appendonly to yes`,
    );
  }
  return advice;
}

function refuseOld(version: string | undefined, name: string): void {
  const [major, minor] = (version ?? '').split('.').map(Number);
  if (major === undefined || minor === undefined || Number.isNaN(major) || Number.isNaN(minor)) return;
  if (major > oldest.major || (major === oldest.major && minor >= oldest.minor)) return;
  throw new MisconfiguredError(
    'redis_version',
    `broker "${name}": this is Redis ${version}; domaind needs ${oldest.major}.${oldest.minor} or later: upgrade the server`,
  );
}
