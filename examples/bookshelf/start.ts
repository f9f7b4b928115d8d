import { main, runProcess } from '../../src/main.ts';

/**
 * npm start: the bookshelf on PostgreSQL and Redis where DATABASE_URL and REDIS_URL say where they are, and otherwise in
 * memory, with nothing installed.
 */
const missing = ['DATABASE_URL', 'REDIS_URL'].filter((name) => (process.env[name] ?? '') === '');

if (missing.length > 0) {
  if (missing.length === 1) console.error(`${missing[0]} is not set, so the bookshelf runs in memory.`);
  await runProcess(['dev']);
} else {
  process.env['DOMAIND_ENV'] ??= 'production';
  const code = await main(['db', 'setup']);
  if (code !== 0) process.exit(code);
  await runProcess(['server']);
}
