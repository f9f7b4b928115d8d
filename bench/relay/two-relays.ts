import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench } from '../harness/bench.ts';
import { domainToml, startDaemon } from '../harness/daemon.ts';
import { prepareRows, stream } from '../harness/messages.ts';
import type { Outcome } from '../harness/outcome.ts';
import type { Place } from '../harness/place.ts';
import type { Program } from '../harness/program.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import { measureRelay } from './relay-runs.ts';

const run = promisify(execFile);
const relayOnly = { only: 'relay', handlers: null } as const;

/** Two relays on two shards against one on one shard, and whether each aggregate's events stay in order. */
export const twoRelays: Bench = {
  name: 'two-relays',
  async run(place) {
    const { options, sql, progress } = place;
    await prepareRows(sql, options.rows);
    let inversions = 0;
    const two: Contender = {
      name: 'two relays',
      async measure() {
        const steady = await withShards(place, 2, () => startTwo(place));
        inversions += await inversionsOn(place);
        return steady;
      },
    };
    const one = {
      name: 'one relay',
      measure: () => withShards(place, 1, () => startDaemon(place, relayOnly)),
      target: 1,
    };
    const outcomes = await sideBySide('relay two-relays', two, [one], options.rounds, progress);
    const order: Outcome = {
      bench: 'relay two-relays',
      what: 'inversions within a stream',
      figure: String(inversions),
      target: '0',
      met: inversions === 0,
      detail: `${options.rounds} runs of ${options.rows} rows`,
    };
    return [...outcomes, order];
  },
};

async function withShards(place: Place, shards: number, start: () => Promise<Program>) {
  const config = join(place.folder, 'shards.toml');
  await writeFile(config, domainToml(relayOnly));
  const argv = [place.options.daemon, 'db', 'shards', String(shards), '--config', config];
  await run(process.execPath, argv, { env: { ...process.env, ...place.environment } });
  return measureRelay(place, place.options.rows, start);
}

/** As one program; the CPU is the first one's. */
async function startTwo(place: Place): Promise<Program> {
  const [first, second] = await Promise.all([startDaemon(place, relayOnly), startDaemon(place, relayOnly)]);
  return {
    ...first,
    broke: Promise.race([first.broke, second.broke]),
    async stop() {
      await Promise.all([first.stop(), second.stop()]);
    },
  };
}

/** Entries that stand before one with a smaller number of their aggregate: the numbers grow with the rows. */
async function inversionsOn({ redis }: Place): Promise<number> {
  const last = new Map<string, number>();
  let found = 0;
  let after = '-';
  for (;;) {
    const entries = await redis.xrange(stream, after, '+', 'COUNT', 5_000);
    for (const [, fields] of entries) {
      const { data, metadata } = JSON.parse(fields[1] ?? '');
      const of = metadata.headers.stream;
      if (data.n < (last.get(of) ?? 0)) found += 1;
      last.set(of, data.n);
    }
    const end = entries.at(-1)?.[0];
    if (end === undefined) return found;
    after = `(${end}`;
  }
}
