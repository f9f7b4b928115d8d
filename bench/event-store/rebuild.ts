import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installMessageDb } from '../../test/support/message-db.ts';
import type { Bench } from '../harness/bench.ts';
import { aggregates, stream as category, domain } from '../harness/messages.ts';
import type { Place } from '../harness/place.ts';
import { cpuSeconds } from '../harness/process-usage.ts';
import type { Program } from '../harness/program.ts';
import { startProgram, startScript } from '../harness/program.ts';
import type { Contender } from '../harness/side-by-side.ts';
import { sideBySide } from '../harness/side-by-side.ts';
import type { Steady } from '../harness/steady-rate.ts';
import { middle, steadyRate } from '../harness/steady-rate.ts';

/** A projector that inserts what it is given, in batches, against reading the same with one SELECT after the other. */
export const rebuild: Bench = {
  name: 'rebuild',
  async run(place) {
    const { options, progress } = place;
    await fill(place);
    const config = await configure(place);
    const ours: Contender = { name: 'projection rebuild', measure: () => measureRebuild(place, config) };
    const rival = { name: 'one SELECT after the other', target: 0.5, measure: () => measureSelects(place) };
    return sideBySide('event-store rebuild', ours, [rival], options.rounds, progress);
  },
};

/** Events of 500 bytes in as many streams as elsewhere, as `write_message` would have left them. */
async function fill({ sql, databaseUrl, options }: Place): Promise<void> {
  await installMessageDb({ psql: async (_url, text) => String(await sql.unsafe(text)) }, databaseUrl);
  await sql`
    insert into message_store.messages (id, stream_name, type, position, data, metadata)
    select gen_random_uuid(), stream, 'Bench.OrderPlaced.v1', (n - 1) / ${aggregates}::int,
      json_build_object('n', n, 'text', repeat('x', 470))::jsonb,
      json_build_object(
        'headers', json_build_object('id', stream || '-0.' || n, 'type', 'Bench.OrderPlaced.v1', 'stream', stream,
          'time', '2026-01-01T00:00:00.000000+00:00'),
        'envelope', json_build_object('specversion', '1.0', 'checksum', null),
        'domain', json_build_object('fqn', 'bench.OrderPlaced', 'kind', 'EVENT', 'version', 1, 'asynchronous', true),
        'extensions', json_build_object())::jsonb
    from (select n, ${`${category}-ord`} || (n % ${aggregates}::int) as stream from generate_series(1, ${options.rows}::int) n) made`;
  await sql`analyze message_store.messages`;
  await sql`create table effect (n integer not null)`;
}

async function configure({ folder }: Place): Promise<string> {
  const config = join(folder, 'rebuild.toml');
  const handlers = fileURLToPath(new URL('../handlers/batch-insert.js', import.meta.url));
  await writeFile(
    config,
    `
name = "${domain}"
[handlers]
path = ${JSON.stringify(handlers)}
[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL}"
[brokers.default]
provider = "inline"
[event_store]
provider = "message_db"
database_uri = "\${DATABASE_URL}"
[server]
default_subscription_profile = "projection"
`,
  );
  return config;
}

async function measureRebuild(place: Place, config: string): Promise<Steady> {
  const { sql, options, environment } = place;
  await sql`update event_position set position = -1`;
  await sql`checkpoint`;
  const argv = [options.daemon, 'projection', 'rebuild', 'Measured', '--config', config];
  const program = startProgram('domaind projection rebuild', argv, { ...environment, NODE_ENV: 'production' });
  // The reset of the position comes first: what it was before is not counted.
  const position = async () => {
    const [row] = await sql`select greatest(0, position)::text as position from event_position`;
    return Number(row?.['position'] ?? 0);
  };
  return until(place, program, position);
}

async function measureSelects(place: Place): Promise<Steady> {
  const program = startScript('programs/limit-event-store.ts', place.environment, [category, '1000']);
  return until(place, program, async () => program.done());
}

async function until({ options }: Place, program: Program, count: () => Promise<number>): Promise<Steady> {
  try {
    return await steadyRate(middle(options.rows), count, () => cpuSeconds(program.pid), program.broke);
  } finally {
    await program.stop();
  }
}
