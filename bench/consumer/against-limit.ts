import type { Bench } from '../harness/bench.ts';
import { fillStream, stream } from '../harness/messages.ts';
import type { Outcome } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import { startScript } from '../harness/program.ts';
import type { Contender, Rival } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { daemonConsumer, group, handWrittenConsumer, measureConsumer } from './consumer-runs.ts';

/** A handler that does nothing, against a loop that does nothing. */
export const againstLimit: Bench = {
  name: 'limit',
  async run(place) {
    const { redis, options, progress } = place;
    const { rows } = options;
    await fillStream(redis, rows);
    const rivals = [
      { ...handWrittenConsumer(place, rows, 100), target: 0.6 },
      { ...handWrittenConsumer(place, rows, 500), target: null },
    ];
    const ours = daemonConsumer(place, rows, { handlers: 'no-op.js' });
    return sideBySide('consumer limit', ours, rivals, options.rounds, progress);
  },
};

/** Connections that the handlers have; the daemon keeps three more for itself. */
const connections = 10;

/** A handler that writes a row, with the inbox, against the same two inserts by hand. */
export const inboxAgainstLimit: Bench = {
  name: 'inbox',
  run: (place) => oneRow(place, 'consumer inbox', (count) => ({ ...byHand(place, count), target: 0.7 })),
};

/** The same against a handler that writes its row in a transaction of its own, without the inbox. */
export const inboxCost: Bench = {
  name: 'inbox-cost',
  run: (place) =>
    oneRow(place, 'consumer inbox cost', (count) => ({
      ...daemonConsumer(place, count, { handlers: 'one-row-alone.js' }),
      name: 'without inbox',
      target: 0.75,
    })),
};

async function oneRow(place: Place, title: string, rivalOf: (count: number) => Rival): Promise<readonly Outcome[]> {
  const { redis, sql, options, progress } = place;
  const count = Math.ceil(options.rows / 5);
  await fillStream(redis, count);
  await sql`create table if not exists effect (n integer not null)`;
  const emptied = (contender: Contender): Contender => ({
    name: contender.name,
    async measure() {
      await sql`truncate effect, inbox`;
      await sql`checkpoint`;
      return contender.measure();
    },
  });
  const ours = daemonConsumer(place, count, { handlers: 'one-row.js', poolSize: connections + 3 });
  const rival = rivalOf(count);
  return sideBySide(title, emptied(ours), [{ ...emptied(rival), target: rival.target }], options.rounds, progress);
}

const byHand = (place: Place, count: number): Contender => ({
  name: 'by hand',
  measure: () =>
    measureConsumer(place, count, () =>
      startScript('programs/limit-inbox.ts', place.environment, [stream, group, '100', String(connections)]),
    ),
});
