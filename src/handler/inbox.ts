import type { Config } from '../config/config.ts';
import type { Millis } from '../runtime/clock.ts';
import type { LoopOptions } from '../runtime/loop.ts';
import { loop } from '../runtime/loop.ts';
import type { Service } from '../runtime/service.ts';

/** What is known of messages that were handled, as a whole: units of work add to it row by row. */
export interface Inbox {
  /** The database's name in domain.toml. */
  readonly database: string;
  /** Forgets messages that were handled longer ago, by the database's clock; at most `limit`; the count. */
  purge(olderThanMs: Millis, limit: number): Promise<number>;
}

const everyMs: Millis = 60_000;

/**
 * Forgets what was handled so long ago that it will not come again. Every replica may run it at once: none waits for
 * another, and a row is deleted by one of them.
 */
export function createInboxRetention(
  config: Config['inbox'],
  { inbox, loop: options }: { readonly inbox: Inbox; readonly loop: LoopOptions },
): Service {
  const { retentionMs, batchSize } = config;
  const purgeBatch = async () => ((await inbox.purge(retentionMs, batchSize)) >= batchSize ? 0 : everyMs);
  return { name: `inbox:${inbox.database}`, run: ({ soft }) => loop(purgeBatch, soft, options) };
}
