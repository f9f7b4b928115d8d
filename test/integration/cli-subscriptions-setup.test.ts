import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { run } from '../support/run-command.ts';

const toml = `
name = "bookshelf"
enable_outbox = false
[databases.default]
provider = "memory"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
[handlers]
path = "handlers"
[server]
default_subscription_type = "stream"
`;

const handlers = `
import { commandHandler, eventHandler } from 'domaind';
export const Shipping = eventHandler({ category: 'order', handles: { OrderPlaced: () => undefined } });
export const Orders = commandHandler({ category: 'order', handles: { PlaceOrder: () => undefined } });
`;

describe('domaind subscriptions setup', () => {
  let redis: RedisServer;
  let folder: string;

  before(async () => {
    redis = await startRedis();
    folder = mkdtempSync(join(tmpdir(), 'domaind-groups-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml);
    writeFileSync(join(folder, 'handlers/orders.js'), handlers);
  });
  after(async () => {
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const setup = () => run(['subscriptions', 'setup', '--json'], { cwd: folder, environment: { REDIS_URL: redis.url } });
  const groups = async (stream: string) => String(await redis.cli('XINFO', 'GROUPS', stream)).split(',');

  it('makes every stream and group, as often as it is run, and joins none of them', async () => {
    for (const _ of ['first', 'again']) {
      const { code, json, err } = await setup();
      assert.equal(code, 0, err);
      assert.deepEqual(json<readonly unknown[]>(), [
        { handler: 'Orders', stream: 'bookshelf::order:command', group: 'bookshelf.Orders' },
        { handler: 'Shipping', stream: 'bookshelf::order', group: 'bookshelf.Shipping' },
      ]);
    }
    const made = await groups('bookshelf::order');
    assert.equal(made[made.indexOf('name') + 1], 'bookshelf.Shipping');
    assert.equal(made[made.indexOf('consumers') + 1], '0');
    assert.ok((await groups('bookshelf::order:command')).includes('bookshelf.Orders'));
  });

  it('gives the group what was sent before the daemon', async () => {
    await redis.cli('XADD', 'bookshelf::order', '*', 'data', '{}');
    const waiting = await groups('bookshelf::order');
    assert.equal(waiting[waiting.indexOf('lag') + 1], '1');
  });
});
