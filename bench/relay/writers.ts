import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench } from '../harness/bench.ts';
import { startDaemon } from '../harness/daemon.ts';
import { aggregates, category, payload, settle } from '../harness/messages.ts';
import type { Place } from '../harness/place.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';

const run = promisify(execFile);
const clients = 4;

/** What the relay takes away from those who write to the outbox as fast as they can. */
export const writers: Bench = {
  name: 'writers',
  async run(place) {
    const { options, progress, folder } = place;
    const script = join(folder, 'raise.sql');
    const text = payload(1).replaceAll("'", "''");
    await writeFile(
      script,
      `\\set n random(1, ${aggregates})
select outbox_raise_event('OrderPlaced', '${category}', 'ord-' || :n, '${text}'::json);\n`,
    );
    const alone: Contender = { name: 'relay stopped', measure: () => measureWriters(place, script) };
    const relayed: Contender = {
      name: 'relay running',
      async measure() {
        const daemon = await startDaemon(place, { only: 'relay', handlers: null });
        try {
          return await Promise.race([measureWriters(place, script), daemon.broke]);
        } finally {
          await daemon.stop();
        }
      },
    };
    return sideBySide('relay writers', relayed, [{ ...alone, target: null }], options.rounds, progress);
  },
};

async function measureWriters(place: Place, script: string) {
  const { sql, redis, databaseUrl, options } = place;
  await redis.flushall();
  await sql`truncate outbox restart identity`;
  await settle(sql);
  const seconds = options.quick ? 2 : 10;
  const argv = ['-n', '-M', 'prepared', '-c', clients, '-j', 1, '-T', seconds, '-f', script, databaseUrl];
  const path = [process.env['PATH'] ?? '', '/usr/lib/postgresql/15/bin', '/usr/lib/postgresql/16/bin'].join(delimiter);
  const { stdout } = await run('pgbench', argv.map(String), { env: { ...process.env, PATH: path } });
  const tps = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  if (!(tps > 0)) throw new Error(`pgbench said nothing of its rate:\n${stdout}`);
  return { perSecond: tps, cpuUs: null };
}
