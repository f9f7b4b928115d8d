import { textOf } from '../connection/reply-of-redis.ts';
import type { Ask } from './redis-ask.ts';

/**
 * What endangers entries on this server although it answers: that it deletes keys when memory is short, or that they are
 * gone with the process. Nothing where INFO is not allowed. Throws UnavailableError.
 */
export async function adviceOf(ask: Ask, name: string): Promise<readonly string[]> {
  const [answer = null] = await ask.all([['INFO']]);
  const text = answer instanceof Error ? null : textOf(answer);
  if (text === null) return [];
  const facts = new Map(text.split('\r\n').map((line) => [line.split(':')[0], line.slice(line.indexOf(':') + 1)]));
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
