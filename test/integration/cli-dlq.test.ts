import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Consumer } from '../../src/broker/broker.ts';
import { deadLettersOf, replayOf } from '../../src/message/stream-name.ts';
import { composeDeadLetter } from '../../src/subscription/dead-letter.ts';
import { atOnce, bodiesOf, entry, redisBrokerAt } from '../support/redis-broker.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { RunOptions } from '../support/run-command.ts';
import { run } from '../support/run-command.ts';

const toml = (rest = '') => `
name = "bookshelf"
[brokers.default]
provider = "redis"
URI = "\${REDIS_URL}"
${rest}
[handlers]
path = "handlers"
`;

const handlers = `
import { eventHandler, subscriber } from 'domaind';
const handles = { OrderPlaced: () => undefined };
export const Shipping = eventHandler({ category: 'order', handles });
export const Billing = eventHandler({ category: 'order', handles });
export const External = subscriber({ stream: 'external-orders', handle: () => undefined });
`;

const order = 'bookshelf::order';
const [shipping, billing] = ['bookshelf.Shipping', 'bookshelf.Billing'];
const secret = 's3cr3t-payload';

const bodyOf = (n: number) =>
  JSON.stringify({
    data: { order_id: n, card: secret },
    metadata: {
      headers: { id: `${order}-${n}-0.1`, type: 'Bookshelf.OrderPlaced.v1', stream: `${order}-${n}` },
      envelope: { specversion: '1.0', checksum: 'abc' },
    },
  });

interface Letter {
  readonly id: string;
  readonly stream: string;
  readonly handler: string | null;
  readonly message_id: string | null;
  readonly [key: string]: unknown;
}
interface Listed {
  readonly streams: readonly { readonly stream: string; readonly count: number }[];
  readonly dead_letters: readonly Letter[];
}

describe('domaind dlq', () => {
  let server: RedisServer;
  let folder: string;

  before(async () => {
    server = await startRedis({ shared: true });
    folder = mkdtempSync(join(tmpdir(), 'domaind-dlq-'));
    mkdirSync(join(folder, 'handlers'));
    writeFileSync(join(folder, 'domain.toml'), toml());
    writeFileSync(join(folder, 'handlers/orders.js'), handlers);
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await server.cli('FLUSHDB');
  });

  const dlq = (argv: string, options: Partial<RunOptions> = {}) =>
    run(['dlq', ...argv.split(' ').map((each) => each.replaceAll('%', ' '))], {
      cwd: folder,
      environment: { REDIS_URL: server.url },
      ...options,
    });
  const listed = async (argv = '') => (await dlq(`list --json ${argv}`.trim())).json<Listed>();
  const idsOf = async (argv: string) => (await listed(argv)).dead_letters.map(({ id }) => id);
  const lettersOn = async (stream: string) => Number(await server.cli('XLEN', deadLettersOf(stream)));

  /** Works as a member of the group, as the daemon does: what is replayed comes first. */
  async function asMember<T>(group: string, work: (consumer: Consumer) => Promise<T>, stream = order): Promise<T> {
    const { broker } = redisBrokerAt(server.url);
    const consumer = await broker.consume({ streams: [replayOf(stream, group), stream], group, consumer: 'c-1' });
    try {
      return await work(consumer);
    } finally {
      await consumer.close();
      await broker.close();
    }
  }

  /** Publishes bodies, and has the group give all of them up. Other groups have handled them. */
  async function fail(group: string, bodies: readonly string[], message: (n: number) => string, stream = order) {
    const { broker } = redisBrokerAt(server.url);
    await broker.publish(bodies.map((body) => entry(stream, body)));
    await broker.close();
    await asMember(
      group,
      async (consumer) => {
        const deliveries = await consumer.read(atOnce);
        const settlements = deliveries.map((delivery, n) => ({
          kind: 'dead_letter' as const,
          delivery,
          stream: deadLettersOf(delivery.stream),
          body: composeDeadLetter(delivery, {
            group,
            consumer: consumer.name,
            handler: group.replace('bookshelf.', ''),
            messageId: (JSON.parse(delivery.body).metadata?.headers?.id as string | undefined) ?? null,
            failedAt: new Date().toISOString(),
            error: Object.assign(new Error(message(n)), { name: 'StockError' }),
          }),
        }));
        await consumer.settle(settlements);
      },
      stream,
    );
  }

  /** The bodies of all that there is for the group, which are acknowledged. */
  const takeAll = (group: string) =>
    asMember(group, async (consumer) => {
      const bodies: string[] = [];
      for (;;) {
        const deliveries = await consumer.read(atOnce);
        if (deliveries.length === 0) return bodies;
        bodies.push(...bodiesOf(deliveries));
        await consumer.settle(deliveries.map((delivery) => ({ kind: 'ack', delivery })));
      }
    });

  /** Three of Shipping, two of Billing. Each group has read the other's and acknowledged it. */
  async function five(): Promise<void> {
    await fail(shipping, [1, 2, 3].map(bodyOf), (n) => `order ${n} has no stock`);
    await takeAll(billing);
    await fail(billing, [4, 5].map(bodyOf), () => `card refused\u001b[2J`);
    await takeAll(shipping);
  }

  it('lists dead letters with cause, handler, attempts and age, without payloads', async () => {
    await five();
    const { code, out } = await dlq('list', { isTty: true });
    assert.equal(code, 0);
    assert.match(out, /^5 dead letters: 5 in bookshelf::order:dlq$/m);
    assert.match(out, /^ID +AGE +HANDLER +TRIES +TYPE +CAUSE$/m);
    assert.match(out, /Shipping +1 +Bookshelf\.OrderPlaced\.v1 +StockErr/);
    for (const line of out.split('\n')) assert.ok(line.length <= 80 && !/\p{Cc}/u.test(line), line);
    assert.doesNotMatch(JSON.stringify(await listed()) + out, new RegExp(secret));
    const { streams, dead_letters } = await listed();
    assert.deepEqual(streams, [{ broker: 'default', stream: 'bookshelf::order:dlq', count: 5 }]);
    assert.deepEqual(
      dead_letters.map((each) => [each.handler, each['error_type'], each['attempts'], each['origin']]),
      [...Array(3).fill(['Shipping', 'StockError', 1, order]), ...Array(2).fill(['Billing', 'StockError', 1, order])],
    );
  });

  it('filters by handler, error, age, stream and number', async () => {
    await five();
    await fail('bookshelf.External', ['{"a": 1}'], () => 'no such customer', 'external-orders');
    assert.equal((await idsOf('--handler Billing')).length, 2);
    assert.equal((await idsOf('--handler bookshelf.Billing')).length, 2);
    assert.equal((await idsOf('--error REFUSED')).length, 2);
    assert.equal((await idsOf('--error StockError')).length, 6);
    assert.equal((await idsOf('--error handler_failed --handler External')).length, 1);
    assert.equal((await idsOf('--older-than 1h')).length, 0);
    assert.equal((await idsOf('--stream external-orders')).length, 1);
    assert.equal((await idsOf('--stream external-orders:dlq')).length, 1);
    assert.equal((await idsOf('--limit 4')).length, 4);
    const unknown = await dlq('list --stream nope');
    assert.deepEqual([unknown.code, /known: bookshelf::order:dlq, external-orders:dlq/.test(unknown.err)], [2, true]);
  });

  it('groups by error, most first', async () => {
    await five();
    const { out } = await dlq('list --by error');
    assert.match(out, /^3 +Shipping .*StockError: order 0 has no stock$/m);
    assert.match(out, /^2 +Billing .*card refused\\u001b\[2J$/m);
    const { causes } = (await dlq('list --by error --json')).json<{ causes: readonly { count: number }[] }>();
    assert.deepEqual(
      causes.map(({ count }) => count),
      [3, 2],
    );
  });

  it('shows the whole history, and the payload only where that is asked for', async () => {
    await five();
    const [first] = (await listed()).dead_letters;
    assert.ok(first);
    const shown = await dlq(`show ${first.id}`);
    assert.match(shown.out, /^cause +StockError: order 0 has no stock$/m);
    assert.match(shown.out, /^1 +\S+ +c-1 +StockError: order 0/m);
    assert.doesNotMatch(shown.out, new RegExp(secret));
    assert.match((await dlq(`show ${first.message_id} --payload`)).out, new RegExp(secret));
    assert.equal((await dlq(`show ${first.id} --json`)).json<readonly Letter[]>()[0]?.id, first.id);
    const missing = await dlq('show 1-1');
    assert.deepEqual([missing.code, missing.err], [1, 'there is no dead letter 1-1']);
  });

  it('replays to the failed group only, to the byte, each letter once', async () => {
    await five();
    const [first] = (await listed()).dead_letters;
    assert.ok(first);
    const { code, out } = await dlq(`replay ${first.id}`);
    assert.deepEqual([code, out], [0, '1 dead letter replayed: 1 to bookshelf.Shipping']);
    assert.equal((await dlq(`replay ${first.id}`)).code, 1);
    assert.equal(await lettersOn(order), 4);
    assert.deepEqual(await takeAll(billing), []);
    assert.deepEqual(await takeAll(shipping), [bodyOf(1)]);
    assert.deepEqual(await takeAll(shipping), []);
  });

  it('replays each letter once although two replay at the same time', async () => {
    await fail(
      shipping,
      Array.from({ length: 60 }, (_, n) => bodyOf(n)),
      () => 'no stock',
    );
    const [one, other] = await Promise.all([dlq('replay --all --json'), dlq('replay --all --json')]);
    const replayed = [one, other].map((ran) => ran.json<{ replayed: number }>().replayed);
    assert.deepEqual([one.code, other.code, (replayed[0] ?? 0) + (replayed[1] ?? 0)], [0, 0, 60]);
    assert.equal((await takeAll(shipping)).length, 60);
    assert.equal(await lettersOn(order), 0);
  });

  it('replays what a filter picks, at a pace, after a dry run', async () => {
    await five();
    const dry = await dlq('replay --all --handler Billing --dry-run');
    assert.match(dry.out, /^2 dead letters would be replayed$/m);
    assert.equal(await lettersOn(order), 5);
    const startedAt = performance.now();
    const { out } = await dlq('replay --all --handler Billing --rate 20/s');
    assert.equal(out, '2 dead letters replayed: 2 to bookshelf.Billing');
    assert.ok(performance.now() - startedAt >= 50);
    assert.deepEqual(await takeAll(billing), [4, 5].map(bodyOf));
    assert.equal(await lettersOn(order), 3);
  });

  it('goes on with the same command after an interruption', async () => {
    await five();
    const soft = new AbortController();
    const shutdown = { soft: soft.signal, hard: new AbortController().signal };
    const stopped = dlq('replay --all --rate 1/h', { shutdown });
    while ((await lettersOn(order)) === 5) await new Promise((resolve) => setTimeout(resolve, 5));
    soft.abort('SIGINT');
    const { code, err } = await stopped;
    assert.deepEqual([code, err], [1, 'stopped with 4 left; the same command goes on']);
    assert.equal(
      (await dlq('replay --all')).out,
      '4 dead letters replayed: 2 to bookshelf.Shipping, 2 to bookshelf.Billing',
    );
    assert.deepEqual(await takeAll(shipping), [1, 2, 3].map(bodyOf));
  });

  it('gives a letter that fails again back to the same dead letters', async () => {
    await fail(shipping, [bodyOf(1)], () => 'no stock');
    await dlq('replay --all');
    await fail(shipping, [], () => 'still no stock');
    const [letter] = (await listed()).dead_letters;
    assert.deepEqual(
      [letter?.['origin'], letter?.['error_message'], letter?.handler],
      [order, 'still no stock', 'Shipping'],
    );
    await dlq('replay --all');
    assert.deepEqual(await takeAll(shipping), [bodyOf(1)]);
  });

  it('sweeps out what was replayed and acknowledged, and nothing that is pending', async () => {
    const replay = replayOf(order, shipping);
    await fail(shipping, [1, 2, 3, 4].map(bodyOf), () => 'no stock');
    const ids = await idsOf('');
    await dlq(`replay ${ids[0]} ${ids[1]}`);
    assert.equal(Number(await server.cli('XLEN', replay)), 2);
    await asMember(shipping, async (consumer) => {
      const [delivery] = await consumer.read(atOnce);
      assert.ok(delivery);
      await consumer.settle([{ kind: 'ack', delivery }]);
    });
    await dlq(`replay ${ids[2]}`);
    assert.equal(Number(await server.cli('XLEN', replay)), 2);
    assert.deepEqual(await takeAll(shipping), [bodyOf(2), bodyOf(3)]);
    await dlq(`replay ${ids[3]}`);
    assert.deepEqual(await takeAll(shipping), [bodyOf(4)]);
    assert.equal(Number(await server.cli('XLEN', replay)), 2);
  });

  it('replays bytes that are no text as they were', async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x41]);
    await server.cli('XADD', order, '*', 'data', bytes);
    await asMember(shipping, async (consumer) => {
      const [delivery] = await consumer.read(atOnce);
      assert.ok(delivery);
      const facts = {
        group: shipping,
        consumer: 'c-1',
        handler: 'Shipping',
        messageId: null,
        failedAt: '',
        error: new Error('x'),
      };
      const body = composeDeadLetter(delivery, facts);
      await consumer.settle([{ kind: 'dead_letter', delivery, stream: deadLettersOf(order), body }]);
    });
    await dlq('replay --all');
    const [raw] = await asMember(shipping, async (consumer) => (await consumer.read(atOnce)).map((each) => each.raw));
    assert.deepEqual(raw && Buffer.from(raw), bytes);
  });

  it('replays an edited payload, with its checksum taken out', async () => {
    await fail(shipping, [bodyOf(1)], () => 'no stock');
    const [id] = await idsOf('');
    const environment = { REDIS_URL: server.url, EDITOR: 'sed -i s/s3cr3t-payload/edited/' };
    const bare = await dlq(`replay ${id} --edit`);
    assert.deepEqual([bare.code, bare.err], [2, 'domaind: --edit needs an editor: set EDITOR']);
    const broken = await dlq(`replay ${id} --edit`, { environment: { ...environment, EDITOR: 'sed -i s/{//' } });
    assert.equal(broken.code, 1);
    const [, kept = ''] = /^domaind: (\S+):\d+:\d+ this is not JSON; nothing is replayed$/.exec(broken.err) ?? [];
    assert.match(kept, /payload\.json$/);
    rmSync(join(kept, '..'), { recursive: true });
    assert.equal((await dlq(`replay ${id} --edit`, { environment: { ...environment, EDITOR: 'false' } })).code, 1);
    assert.equal(await lettersOn(order), 1);
    assert.equal((await dlq(`replay ${id} --edit`, { environment })).code, 0);
    const [body = '{}'] = await takeAll(shipping);
    const { data, metadata } = JSON.parse(body);
    assert.deepEqual([data, metadata.envelope.checksum], [{ order_id: 1, card: 'edited' }, null]);
  });

  it('leaves alone what no handler would read, unless told to', async () => {
    await fail('bookshelf.Gone', [bodyOf(1)], () => 'no stock');
    await server.cli('XADD', deadLettersOf(order), '*', 'data', '{"strange": true}');
    const { code, out, err } = await dlq('replay --all');
    assert.deepEqual([code, out], [1, '0 dead letters replayed']);
    assert.match(err, /no handler reads it in the group bookshelf\.Gone; --no-handlers/);
    assert.match(err, /it does not say which group failed/);
    assert.equal((await dlq('replay --all --no-handlers')).out, '1 dead letter replayed: 1 to bookshelf.Gone');
    assert.equal(await lettersOn(order), 1);
  });

  it('finds streams of dead letters by a search where no handlers are loaded', async () => {
    await fail('bookshelf.Gone', ['{"a": 1}'], () => 'x', 'forgotten');
    assert.deepEqual((await listed()).streams, []);
    assert.deepEqual((await listed('--no-handlers')).streams, [
      { broker: 'default', stream: 'forgotten:dlq', count: 1 },
    ]);
  });

  it('finds those of partitions, of lanes, and of hash-tagged names', async () => {
    const tagged = 'hash_tag = true';
    const lanes = '[server.priority_lanes]\nenabled = true';
    writeFileSync(join(folder, 'tagged.toml'), toml(`${tagged}\n${lanes}`));
    await server.cli('SADD', '{bookshelf::order}:__partitions__', '42');
    const letter = JSON.stringify({ a: 1, _dlq_metadata: { consumer_group: shipping } });
    for (const name of [':42:dlq', ':backfill:dlq', ':dlq']) {
      await server.cli('XADD', `{bookshelf::order}${name}`, '*', 'data', letter);
    }
    const names = async (argv: string) =>
      (await dlq(`list --json --config tagged.toml ${argv}`.trim()))
        .json<Listed>()
        .streams.map(({ stream }) => stream)
        .sort();
    const expected = [`${order}:42:dlq`, `${order}:backfill:dlq`, `${order}:dlq`];
    assert.deepEqual(await names(''), expected);
    assert.deepEqual(await names('--no-handlers'), expected);
    await dlq('replay --all --config tagged.toml');
    assert.equal(Number(await server.cli('XLEN', `{bookshelf::order}:42:__replay__:${shipping}`)), 1);
  });

  it('deletes dead letters by id, age or all, the last only where that is meant', async () => {
    await five();
    const [id] = await idsOf('');
    assert.equal((await dlq('purge')).code, 2);
    assert.equal((await dlq(`purge ${id}`)).out, '1 dead letter purged');
    assert.equal((await dlq('purge --older-than 1h')).out, '0 dead letters purged');
    const unsure = await dlq('purge --all --handler Billing');
    assert.deepEqual([unsure.code, await lettersOn(order)], [1, 4]);
    assert.match(unsure.err, /^2 dead letters would be deleted for good: say --yes/);
    assert.match((await dlq('purge --all --dry-run')).out, /^4 dead letters would be purged$/m);
    assert.equal((await dlq('purge --all --handler Billing --yes')).out, '2 dead letters purged');
    assert.equal((await dlq('purge --all --yes --json')).json<{ purged: number }>().purged, 2);
    assert.equal((await dlq('list')).out, 'no dead letters');
  });

  it('refuses what it does not understand, and says so where nothing can answer', async () => {
    for (const [argv, text] of [
      ['', 'what of the dead letters?'],
      ['lst', 'there is no dlq lst'],
      ['list --by handler', '--by takes error'],
      ['replay', 'IDs or --all are needed'],
      ['replay --handler X', 'IDs or --all are needed'],
      ['replay --all --rate 5', '--rate must be like 50/s'],
      ['replay --all --older-than 5', '--older-than needs a unit'],
      ['show', 'an ID is needed'],
    ] as const) {
      const { code, err } = await dlq(argv);
      assert.deepEqual([code, err.includes(text)], [2, true], `${argv}: ${err}`);
    }
    assert.match((await dlq('--help')).out, /^example: domaind dlq /m);
    assert.equal((await dlq('list', { environment: { REDIS_URL: 'redis://127.0.0.1:1' } })).code, 69);
    writeFileSync(join(folder, 'inline.toml'), 'name = "bookshelf"\n[brokers.default]\nprovider = "inline"\n');
    assert.equal((await dlq('list --config inline.toml')).code, 78);
  });
});
