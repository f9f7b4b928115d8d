import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const load = (env: string | null, environment: Readonly<Record<string, string>>) =>
  loadConfig({ path: null, env, cwd: root, environment });

const providers = ({ databases, brokers }: Config) => [
  databases.get('default')?.provider,
  brokers.get('default')?.provider,
];

describe('the domain.toml of the bookshelf', () => {
  it('needs nothing installed and no variable', async () => {
    const { config, warnings } = await load(null, {});
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.withoutEffect, []);
    assert.equal(config.domain.normalized, 'bookshelf');
    assert.deepEqual(providers(config), ['memory', 'inline']);
    assert.ok(config.outbox);
  });

  it('stands on PostgreSQL and Redis in production, where their addresses are given', async () => {
    const { config, warnings } = await load('production', {
      DATABASE_URL: 'postgresql://127.0.0.1:5432/bookshelf',
      REDIS_URL: 'redis://127.0.0.1:6379/0',
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(providers(config), ['postgresql', 'redis']);
    assert.equal(config.server.health.host, '127.0.0.1');
  });

  it('says which variable is missing in production', async () => {
    await assert.rejects(load('production', { REDIS_URL: 'redis://127.0.0.1:6379/0' }), /DATABASE_URL/);
  });
});
