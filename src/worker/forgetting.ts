import type { Config } from '../config/config.ts';
import type { Idempotency } from '../handler/idempotency.ts';
import { createInboxRetention } from '../handler/inbox.ts';
import type { Providers } from '../providers.ts';
import type { Millis } from '../runtime/clock.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service } from '../runtime/service.ts';
import type { WorkerDeps } from './deps.ts';

const everyMs: Millis = 60_000;

/** Forgets what every database keeps of messages that will not come again: rows of the inbox, keys of commands. */
export function forgetting(config: Config, providers: Providers, { loopOptions }: WorkerDeps): readonly Service[] {
  const { batchSize } = config.inbox;
  return [...providers.databases.values()].flatMap(({ name, inbox, keys }) => [
    ...(inbox === null ? [] : [createInboxRetention(config.inbox, { inbox, loop: loopOptions(`inbox:${name}`) })]),
    forgetKeys(`keys:${name}`, keys, batchSize, loopOptions(`keys:${name}`)),
  ]);
}

/** Every replica may run it at once: a row is deleted by one of them. */
function forgetKeys(name: string, keys: Idempotency, batchSize: number, options: LoopOptions): Service {
  const purgeBatch = async () => ((await keys.purge(batchSize)) >= batchSize ? 0 : everyMs);
  return { name, run: ({ soft }) => loop(purgeBatch, soft, options) };
}
