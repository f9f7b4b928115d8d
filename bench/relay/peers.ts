import type { Bench } from '../harness/bench.ts';
import { entriesAdded } from '../harness/counts.ts';
import { prepareRows, stream } from '../harness/messages.ts';
import { measurePeer, needPeers } from '../harness/peer-run.ts';
import type { Place } from '../harness/place.ts';
import type { Rival } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { daemonRelay } from './relay-runs.ts';

/** Against what one could use instead: the same payloads from PostgreSQL to a stream of Redis. */
export const peers: Bench = {
  name: 'peers',
  async run(place) {
    needPeers();
    const { options, sql, progress } = place;
    const { rows } = options;
    await prepareRows(sql, rows);
    const rivals = [
      rival(place, 'graphile-worker', Math.ceil(rows / 2), 2),
      rival(place, 'pg-boss', Math.ceil(rows / 2), 2),
      rival(place, 'pg-transactional-outbox', Math.ceil(rows / 25), 20),
    ];
    return sideBySide('relay peers', daemonRelay(place, rows), rivals, options.rounds, progress);
  },
};

const rival = (place: Place, peer: string, count: number, target: number): Rival => ({
  name: peer,
  target,
  measure: () => measurePeer(place, peer, 'relay', count, () => entriesAdded(place.redis, stream)),
});
