import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { functions } from '../../src/outbox/schema/functions.ts';
import type { Bench } from '../harness/bench.ts';
import { startDaemon } from '../harness/daemon.ts';
import { aggregates, category, domain, payload, settle } from '../harness/messages.ts';
import type { Place } from '../harness/place.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';

const run = promisify(execFile);
const clients = 4;

/** The functions as they would be if nobody had to be woken. */
const withoutHint = functions({
  q: '"public"',
  normalized: domain,
  camel: 'Bench',
  hint: null,
  externalHint: null,
});

async function definitions(sql: Place['sql']): Promise<readonly string[]> {
  const rows = await sql<{ text: string }[]>`
    select pg_get_functiondef(oid) as text from pg_proc where proname in ('outbox_raise_event', 'outbox_process_command')`;
  return rows.map(({ text }) => text);
}

/** What waking the relay, and the relay itself, take away from those who write to the outbox as fast as they can. */
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
    const withHint = await definitions(place.sql);
    const relayed = (name: string, texts: readonly string[], hint: boolean): Contender => ({
      name,
      async measure() {
        for (const text of texts) await place.sql.unsafe(text);
        const daemon = await startDaemon(place, { only: 'relay', handlers: null, hint });
        try {
          return await Promise.race([measureWriters(place, script), daemon.broke]);
        } finally {
          await daemon.stop();
        }
      },
    });
    const ours = relayed('hint', withHint, true);
    const rivals = [
      { ...relayed('no hint', withoutHint, false), target: 0.95 },
      { name: 'relay stopped', measure: () => measureWriters(place, script), target: null },
    ];
    return sideBySide('relay writers', ours, rivals, options.rounds, progress);
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
