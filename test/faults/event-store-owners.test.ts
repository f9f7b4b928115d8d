import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Daemon } from '../support/daemon.ts';
import type { EventStoreReplicas } from '../support/event-store-replicas.ts';
import { eventStoreReplicas, judgeEffects, writeEvents } from '../support/event-store-replicas.ts';
import type { PostgresqlServer } from '../support/postgresql-server.ts';
import { startPostgresql } from '../support/postgresql-server.ts';
import type { TcpCut } from '../support/tcp-cut.ts';
import { startTcpCut } from '../support/tcp-cut.ts';
import { until } from '../support/until.ts';

const handlers = 10;
const takeOvers = 100;
const ttlMs = 2_000;
/** Around the end of the owner's trust, and that of the lease. */
const pauses = [1_500, 1_700, 1_800, 1_900, 1_950, 2_000, 2_050, 2_200, 2_500, 4_000];

interface Replica {
  readonly cut: TcpCut;
  daemon: Daemon;
}

describe('ten subscriptions of the event store whose owners are killed, paused and cut off', () => {
  let server: PostgresqlServer;
  let replicas: EventStoreReplicas;
  const all: Replica[] = [];
  before(async () => {
    server = await startPostgresql({ own: true });
    replicas = await eventStoreReplicas({
      server,
      handlers,
      settings: `lease_ttl_seconds = ${ttlMs / 1_000}`,
      // Some are slow, so that owners are lost in the middle of them.
      handle: 'if (data.n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 30));',
    });
  });
  after(async () => {
    await replicas?.end();
    for (const { cut } of all) await cut.close();
    await server?.stop();
  });

  const start = (cut: TcpCut): Daemon => {
    const url = new URL(replicas.url);
    url.port = String(cut.port);
    return replicas.start(url.href);
  };

  /** Owners are lost until there were so many take-overs; how often each way. */
  async function disturb(): Promise<Record<string, number>> {
    const counts: Record<string, number> = { killed: 0, paused: 0, hung: 0, dropped: 0, drained: 0 };
    for (let round = 0; takeOversIn() < takeOvers || (counts['paused'] ?? 0) < pauses.length; round += 1) {
      const replica = all[round % all.length];
      if (replica === undefined) break;
      const { cut } = replica;
      const how = ['killed', 'paused', 'hung', 'paused', 'dropped', 'paused', 'drained'][round % 7] ?? 'paused';
      counts[how] = (counts[how] ?? 0) + 1;
      const forMs = pauses[(counts['paused'] ?? 0) % pauses.length] ?? ttlMs;
      if (how === 'killed' || how === 'drained') {
        replica.daemon.signal(how === 'killed' ? 'SIGKILL' : 'SIGTERM');
        await replica.daemon.ended;
        replica.daemon = start(cut);
        await replica.daemon.seen('daemon.ready');
      } else if (how === 'paused') {
        replica.daemon.signal('SIGSTOP');
        await delay(forMs);
        replica.daemon.signal('SIGCONT');
      } else {
        cut.cut(how === 'hung' ? 'hang' : 'drop');
        await delay(forMs);
        cut.mend();
      }
      await delay(1_500);
    }
    return counts;
  }

  const everStarted: Daemon[] = [];
  const takeOversIn = () =>
    everStarted.flatMap(({ lines }) => lines).filter(({ msg }) => msg === 'subscription.started').length - handlers;

  it('have every effect once and in order over a hundred take-overs', async (test) => {
    for (let index = 0; index < 3; index += 1) {
      const cut = await startTcpCut(server.port);
      all.push({ cut, daemon: start(cut) });
    }
    await Promise.all(all.map(({ daemon }) => daemon.seen('daemon.ready')));
    const track = () => {
      for (const { daemon } of all) if (!everStarted.includes(daemon)) everStarted.push(daemon);
    };
    const tracking = setInterval(track, 50);
    const stop = new AbortController();
    const committed = new Map<string, number>();
    let round = 0;
    const load = (async () => {
      while (!stop.signal.aborted) {
        round += 1;
        const written = await writeEvents(replicas.url, {
          writers: 2,
          streams: 2,
          events: 6,
          categories: false,
          batch: 3,
          delayMs: 20,
          prefix: `r${round}`,
        });
        for (const [stream, count] of written) committed.set(stream, count);
        await delay(1_000);
      }
    })();
    const counts = await disturb();
    stop.abort();
    await load;
    clearInterval(tracking);
    track();
    const expected = handlers * [...committed.values()].reduce((sum, count) => sum + count, 0);
    await until('all effects', async () => ((await replicas.count()) >= expected ? true : null), 300_000);
    await delay(2_000);
    test.diagnostic(`${expected} effects, ${takeOversIn()} take-overs, ${JSON.stringify(counts)}`);
    const wrong = judgeEffects(await replicas.effects(), committed, handlers);
    assert.deepEqual(wrong, { missing: 0, twice: 0, outOfOrder: [] });
    assert.ok(takeOversIn() >= takeOvers);
  });
});
