import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../harness/bench.ts';
import { startDaemon } from '../harness/daemon.ts';
import { atMost } from '../harness/outcome.ts';
import { cpuSeconds, residentBytes } from '../harness/process-usage.ts';

const subscriptions = 50;

/** What subscriptions cost that have nothing to do. */
export const idle: Bench = {
  name: 'idle',
  async run(place) {
    const { folder, options, redisPid } = place;
    const handlers = join(folder, 'idle.js');
    await writeFile(handlers, moduleWith(subscriptions));
    const daemon = await startDaemon(place, { only: 'subscriptions', handlers });
    try {
      await Promise.race([delay(options.quick ? 5_000 : 20_000), daemon.broke]);
      const seconds = options.quick ? 5 : 60;
      const pids = [daemon.pid, redisPid];
      const before = pids.map(cpuSeconds);
      await Promise.race([delay(seconds * 1_000), daemon.broke]);
      const shares = pids.map((pid, index) => (100 * (cpuSeconds(pid) - (before[index] ?? 0))) / seconds);
      const [ofDaemon = 0, ofRedis = 0] = shares;
      const parts = `daemon ${shareText(ofDaemon)}, Redis ${shareText(ofRedis)}`;
      const about = { bench: 'consumer idle', detail: `${subscriptions} subscriptions over ${seconds} s; ${parts}` };
      const what = 'CPU of daemon and Redis, of one core';
      return [
        atMost(2, ofDaemon + ofRedis, shareText, { ...about, what }),
        atMost(120, residentBytes(daemon.pid) / 2 ** 20, (value) => `${value.toFixed(0)} MiB`, {
          ...about,
          what: 'resident memory of the daemon',
        }),
      ];
    } finally {
      await daemon.stop();
    }
  },
};

const shareText = (share: number): string => `${share.toFixed(2)} %`;

const moduleWith = (count: number): string =>
  [
    "import { eventHandler } from 'domaind';",
    ...Array.from(
      { length: count },
      (_, n) => `export const Idle${n} = eventHandler({ category: 'kind${n}', handles: { OrderPlaced() {} } });`,
    ),
  ].join('\n');
