import type { Bench } from '../harness/bench.ts';
import { fillStream } from '../harness/messages.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { daemonConsumer } from './consumer-runs.ts';

const sizes = [5_000, 50_000];
const small = 500;
/** What one run reads, in all. */
const totalBytes = 200_000_000;

/** Whether larger payloads are read at no fewer bytes a second than small ones. */
export const bodySizes: Bench = {
  name: 'sizes',
  async run(place) {
    const { options, progress, redis } = place;
    const rounds = Math.min(3, options.rounds);
    const total = options.quick ? totalBytes / 20 : totalBytes;
    /** Counted in bytes of payload, so that the ratio is one of bytes. */
    const reading = (bytes: number): Contender => ({
      name: `payloads of ${bytes.toLocaleString('en')} bytes`,
      async measure() {
        const count = Math.ceil(total / bytes / (bytes === small ? 4 : 1));
        await fillStream(redis, count, bytes);
        const { perSecond } = await daemonConsumer(place, count, { handlers: 'no-op.js' }).measure();
        return { perSecond: perSecond * bytes, cpuUs: null };
      },
    });
    const outcomes = [];
    for (const bytes of sizes) {
      const rival = { ...reading(small), target: 1 };
      outcomes.push(...(await sideBySide('consumer sizes', reading(bytes), [rival], rounds, progress)));
    }
    return outcomes;
  },
};
