import type { Bench } from '../harness/bench.ts';
import { fillStream } from '../harness/messages.ts';
import { measurePeer, needPeers } from '../harness/peer-run.ts';
import type { Place } from '../harness/place.ts';
import type { Contender, Rival } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { daemonConsumer } from './consumer-runs.ts';

/** Against what one could use instead: the same payloads to a handler that does nothing. */
export const peers: Bench = {
  name: 'peers',
  async run(place) {
    needPeers();
    const { options, progress, redis } = place;
    const { rows } = options;
    const onStream = daemonConsumer(place, rows, { handlers: 'no-op.js' });
    const ours: Contender = {
      ...onStream,
      async measure() {
        await fillStream(redis, rows);
        return onStream.measure();
      },
    };
    const rivals = [
      rival(place, 'bullmq', Math.ceil(rows / 4), 4),
      rival(place, 'pg-boss', Math.ceil(rows / 2), 4),
      rival(place, 'graphile-worker', Math.ceil(rows / 2), 2),
    ];
    return sideBySide('consumer peers', ours, rivals, options.rounds, progress);
  },
};

const rival = (place: Place, peer: string, count: number, target: number): Rival => ({
  name: peer,
  target,
  measure: () => measurePeer(place, peer, 'no-op', count, async (program) => program.done()),
});
