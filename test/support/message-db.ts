import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { PostgresqlServer } from './postgresql-server.ts';

const database = join(dirname(createRequire(import.meta.url).resolve('@eventide/message-db/package.json')), 'database');

/** What install.sh of that project runs, in its order. */
const files = [
  'roles/message-store',
  'schema/message-store',
  'extensions/pgcrypto',
  'tables/messages',
  'types/message',
  ...[
    'message-store-version',
    'hash-64',
    'acquire-lock',
    'category',
    'is-category',
    'id',
    'cardinal-id',
    'stream-version',
    'write-message',
    'get-stream-messages',
    'get-category-messages',
    'get-last-stream-message',
  ].map((name) => `functions/${name}`),
  ...['messages-id', 'messages-stream', 'messages-category'].map((name) => `indexes/${name}`),
  ...[
    'stream-summary',
    'type-summary',
    'stream-type-summary',
    'type-stream-summary',
    'category-type-summary',
    'type-category-summary',
  ].map((name) => `views/${name}`),
  ...['schema', 'table', 'sequence', 'functions', 'views'].map((name) => `privileges/${name}`),
];

let script: Promise<string> | null = null;

/** The real Message DB in a database of the test's own server. Answers the URL of its role, `message_store`. */
export async function installMessageDb(server: Pick<PostgresqlServer, 'psql'>, url: string): Promise<string> {
  script ??= Promise.all(files.map((file) => readFile(join(database, `${file}.sql`), 'utf8'))).then((texts) =>
    texts.join('\n'),
  );
  await server.psql(url, await script);
  await server.psql(url, `alter role message_store password 'message-store-secret'`);
  const own = new URL(url);
  own.username = 'message_store';
  own.password = 'message-store-secret';
  return own.href;
}

/** A fresh database with a Message DB in it; the URL of its role. */
export const createMessageDb = async (server: PostgresqlServer): Promise<string> =>
  installMessageDb(server, await server.createDatabase());
