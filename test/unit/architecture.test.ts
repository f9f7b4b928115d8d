import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const src = join(dirname(fileURLToPath(import.meta.url)), '../../src');

/** Who may import whom, folder by folder: a path is a folder or one file. A folder may always import itself. */
const base = ['runtime', 'message', 'config/config.ts', 'telemetry/event.ts', 'connection'];
const allowed: Record<string, readonly string[]> = {
  runtime: [],
  message: ['runtime'],
  config: ['runtime', 'message'],
  'telemetry/event.ts': ['runtime'],
  schema: ['runtime', 'message', 'config/text-file.ts', 'config/nearest.ts'],
  connection: ['runtime', 'config/config.ts', 'telemetry/event.ts'],
  broker: base,
  'event-store': base,
  handler: base,
  telemetry: [...base, 'broker/broker.ts', 'outbox/outbox.ts'],
  outbox: [...base, 'broker'],
  subscription: [...base, 'broker', 'event-store', 'handler'],
  client: [...base, 'config', 'schema', 'event-store', 'handler', 'outbox'],
  doctor: [...base, 'broker', 'outbox'],
  explain: [...base, 'broker', 'outbox'],
  'providers.ts': ['*'],
  providers: ['*'],
  'worker.ts': ['*'],
  worker: ['*'],
};

/** Station logic knows ports; only these files know adapters. */
const adapter = /(^|\/)(memory|inline|redis|redis-pubsub|postgresql|message-db)-[a-z-]+\.ts$/;
const knowsAdapters = /^(providers\.ts|providers\/|connection\/|client\/|cli\/|testing\.ts)/;

/** Each npm package has its doors; types may pass everywhere. */
const doors: Record<string, RegExp> = {
  'smol-toml': /^config\/load\.ts$/,
  ajv: /^(config\/validate|schema\/validator)\.ts$/,
  postgres: /^(connection\/postgresql\.ts|.*\/(postgresql|message-db)-[a-z-]+\.ts|client\/)/,
  ioredis: /^(connection\/redis\.ts|.*\/redis-[a-z-]+\.ts)$/,
  pino: /^telemetry\/log\.ts$/,
  'prom-client': /^telemetry\/metrics\.ts$/,
};

/** Time, randomness, environment and console have their doors too. */
const ambient = /\b(Date\.now\b|new Date\(\)|Math\.random\b|setTimeout\(|setInterval\(|process\.env\b|console\.)/;
const knowsAmbient = /^(runtime\/clock\.ts|worker\.ts|main\.ts|cli\/)/;

const everyFile = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const code = (file: string) => readFileSync(join(src, file), 'utf8');

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

export function importsIn(file: string, text: string): readonly Import[] {
  const statements =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'\s*\)/g;
  return [...text.matchAll(statements)].map(([, , typeOnly, stated, dynamic]) => {
    const specifier = stated ?? dynamic ?? '';
    const target = specifier.startsWith('.')
      ? relative(src, normalize(join(src, dirname(file), specifier)))
      : specifier;
    return { target, typeOnly: typeOnly !== undefined };
  });
}

const isPackage = (target: string) => (!target.includes('/') ? !target.endsWith('.ts') : target.startsWith('@'));
const within = (target: string, place: string) => place === '*' || target === place || target.startsWith(`${place}/`);

/** Every breach of the law in one file. */
export function breaches(file: string, text: string): readonly string[] {
  const room = allowed[file] ? file : (file.split('/')[0] ?? '');
  const rules = allowed[room];
  const own = file.includes('/') ? (file.split('/')[0] ?? '') : file;
  const found: string[] = [];
  for (const { target, typeOnly } of importsIn(file, text)) {
    if (target.startsWith('node:')) continue;
    // `ajv/dist/2020.js` goes through the door of ajv.
    const door = doors[target.split('/')[0] ?? ''];
    if (door && !typeOnly && !door.test(file)) found.push(`${file} imports ${target}, whose door is ${door}`);
    if (door || isPackage(target)) continue;
    const permitted = rules === undefined || within(target, own) || rules.some((place) => within(target, place));
    if (!permitted) found.push(`${file} imports ${target}`);
    if (adapter.test(target) && !typeOnly && !knowsAdapters.test(file) && !adapter.test(file)) {
      found.push(`${file} imports the adapter ${target}`);
    }
  }
  if (!knowsAmbient.test(file)) {
    for (const [index, line] of text.split('\n').entries()) {
      if (!/^\s*(\*|\/\/|\/\*)/.test(line) && ambient.test(line))
        found.push(`${file}:${index + 1} uses ${ambient.exec(line)?.[1]}`);
    }
  }
  return found;
}

describe('the import law', () => {
  it('holds in every file of src', () => {
    assert.deepEqual(
      everyFile.flatMap((file) => breaches(file, code(file))),
      [],
    );
  });

  it('catches a planted violation of each kind', () => {
    const planted: readonly (readonly [string, string, string])[] = [
      ['message/x.ts', "import { a } from '../outbox/relay.ts';", 'message/x.ts imports outbox/relay.ts'],
      ['broker/x.ts', "import type { a } from '../handler/handler.ts';", 'broker/x.ts imports handler/handler.ts'],
      [
        'outbox/relay.ts',
        "import { a } from './postgresql-outbox.ts';",
        'outbox/relay.ts imports the adapter outbox/postgresql-outbox.ts',
      ],
      ['worker.ts', "import { Redis } from 'ioredis';", 'worker.ts imports ioredis, whose door is'],
      ['subscription/x.ts', 'const t = Date.now();', 'subscription/x.ts:1 uses Date.now'],
    ];
    for (const [file, text, expected] of planted) {
      assert.ok(
        breaches(file, text).some((breach) => breach.startsWith(expected)),
        `${file}: ${text}`,
      );
    }
  });

  it('keeps every file under 250 lines', () => {
    assert.deepEqual(
      everyFile.filter((file) => code(file).split('\n').length > 250),
      [],
    );
  });
});
