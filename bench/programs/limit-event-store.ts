import postgres from 'postgres';

/** By hand: one SELECT after the other, and nothing done with what it brings. Says `done N` as it goes. */

const [category = '', page = '1000'] = process.argv.slice(2);
const sql = postgres(process.env['DATABASE_URL'] ?? '', {
  max: 1,
  connection: { search_path: 'message_store,public' },
});

process.on('SIGTERM', () => process.exit(0));
let from = 0;
let count = 0;
for (;;) {
  const rows = await sql`
    select id::text, stream_name, type, position::text, global_position::text, data::text, metadata::text, time
    from get_category_messages(${category}, ${from}::bigint, ${Number(page)}::bigint)`;
  const last = rows.at(-1);
  if (last === undefined) break;
  from = Number(last['global_position']) + 1;
  count += rows.length;
  process.stdout.write(`done ${count}\n`);
}
// What is measured has ended by then; who measures says when to leave.
setInterval(() => undefined, 1_000);
