import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MisconfiguredError, UnavailableError, UsageError } from '../../src/runtime/errors.ts';
import type { Accept, Accepted } from '../../src/telemetry/accept.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import { createIngressServer, isLoopback } from '../../src/telemetry/ingress.ts';
import { openRaw, sendRaw } from '../support/raw-http.ts';

const canary = 's3cr3t-canary';
const maxBodyBytes = 1_000;

/** Takes what it is given and remembers it. */
function createMemoryAccept() {
  const taken: unknown[][] = [];
  let next: () => Promise<void> = async () => undefined;
  const take = async (stream: string, ...given: unknown[]): Promise<Accepted> => {
    await next();
    taken.push(given);
    return { messageId: `m-${taken.length}`, stream };
  };
  const accept: Accept = {
    command: (name, category, data, options) => take(`${category}:command`, 'command', name, category, data, options),
    event: (name, category, id, data, options) => take(category, 'event', name, category, id, data, options),
    publish: (stream, data) => take(stream, 'stream', stream, data),
  };
  return {
    accept,
    taken,
    before: (step: () => Promise<void>) => {
      next = step;
    },
  };
}

async function givenIngress(token: string | null) {
  const memory = createMemoryAccept();
  const events: TelemetryEvent[] = [];
  const config = { host: '127.0.0.1', port: 0, token, maxBodyBytes };
  const limits = { headersTimeoutMs: 1_000, requestTimeoutMs: 2_000, checkEveryMs: 20 };
  const server = createIngressServer(config, { accept: memory.accept, emit: (event) => events.push(event), limits });
  const port = await server.start();
  const send = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      body: '{"order_id":"o-1"}',
      ...init,
      headers: { 'Content-Type': 'application/json', ...init.headers },
    });
  const refused = async (path: string, init?: RequestInit) => {
    const answer = await send(path, init);
    const { error, message } = (await answer.json()) as { readonly error: string; readonly message: string };
    return { status: answer.status, error, message, headers: answer.headers };
  };
  return { ...memory, events, server, port, send, refused };
}

const none = {
  version: null,
  priority: null,
  partitionKey: null,
  correlationId: null,
  traceparent: null,
  deliverAt: null,
};
const noneOfCommand = { ...none, id: null, idempotencyKey: null, deadline: null };

let ingress: Awaited<ReturnType<typeof givenIngress>>;
before(async () => {
  ingress = await givenIngress(null);
});
after(() => ingress.server.stop());

describe('a message by HTTP', () => {
  it('is answered 202 with its id, once it is accepted', async () => {
    const answer = await ingress.send('/commands/order/PlaceOrder');
    assert.equal(answer.status, 202);
    assert.deepEqual(await answer.json(), { message_id: `m-${ingress.taken.length}` });
    assert.deepEqual(ingress.taken.at(-1), ['command', 'PlaceOrder', 'order', { order_id: 'o-1' }, noneOfCommand]);
    assert.deepEqual(ingress.events.at(-1), {
      event: 'ingress.accepted',
      kind: 'command',
      stream: 'order:command',
      message_id: `m-${ingress.taken.length}`,
    });
  });

  it('is an event, with the id of its aggregate', async () => {
    assert.equal((await ingress.send('/events/bookshelf::order/a%2Fb-1/OrderPlaced')).status, 202);
    const data = { order_id: 'o-1' };
    const options = { ...none, published: null };
    assert.deepEqual(ingress.taken.at(-1), ['event', 'OrderPlaced', 'bookshelf::order', 'a/b-1', data, options]);
  });

  it('is any JSON on an external stream', async () => {
    for (const body of ['[1,{"a":null}]', '"text"', 'null', '1.5', '\ufeff{}', ' {"é":"\\ud83d\\ude00"} ']) {
      assert.equal((await ingress.send('/streams/external-orders', { body })).status, 202, body);
      assert.deepEqual(ingress.taken.at(-1), ['stream', 'external-orders', JSON.parse(body.replace('\ufeff', ''))]);
    }
  });

  it('has its options in the query', async () => {
    const query = [
      'id=o-1&version=2&priority=-50&partition_key=eu&correlation_id=c-1&idempotency_key=k-1',
      'deadline=2026-12-01T00:00:00Z&deliver_at=2026-11-30T10:00:00.5%2B01:00',
    ].join('&');
    assert.equal((await ingress.send(`/commands/order/PlaceOrder?${query}`)).status, 202);
    assert.deepEqual(ingress.taken.at(-1)?.at(-1), {
      id: 'o-1',
      version: 2,
      priority: -50,
      partitionKey: 'eu',
      correlationId: 'c-1',
      idempotencyKey: 'k-1',
      deadline: '2026-12-01T00:00:00Z',
      deliverAt: '2026-11-30T10:00:00.5+01:00',
      traceparent: null,
    });
    assert.equal((await ingress.send('/events/order/o-1/OrderPlaced?published=true')).status, 202);
    assert.deepEqual(ingress.taken.at(-1)?.at(-1), { ...none, published: true });
  });

  it('has its options in headers, which the query outranks', async () => {
    const headers = {
      'Idempotency-Key': '"k-1"',
      'X-Correlation-Id': 'c-1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    };
    const traceparent = {
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      parent_id: 'b7ad6b7169203331',
      sampled: true,
    };
    await ingress.send('/commands/order/PlaceOrder', { headers });
    const said = { ...noneOfCommand, idempotencyKey: 'k-1', correlationId: 'c-1', traceparent };
    assert.deepEqual(ingress.taken.at(-1)?.at(-1), said);
    await ingress.send('/commands/order/PlaceOrder?correlation_id=c-2', { headers });
    assert.deepEqual(ingress.taken.at(-1)?.at(-1), { ...said, correlationId: 'c-2' });
  });

  it('goes without a trace where its traceparent is not one', async () => {
    const wrong = [
      '00-00000000000000000000000000000000-b7ad6b7169203331-01',
      '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
      'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
      'garbage',
    ];
    for (const traceparent of wrong) {
      assert.equal((await ingress.send('/commands/order/PlaceOrder', { headers: { traceparent } })).status, 202);
      assert.deepEqual(ingress.taken.at(-1)?.at(-1), noneOfCommand, traceparent);
    }
  });

  it('is read when its sender waits to be told to go on', async () => {
    const { socket, received } = await openRaw(ingress.port);
    const head =
      'POST /streams/s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n';
    socket.write(`${head}Expect: 100-continue\r\n\r\n`);
    await received(/^HTTP\/1\.1 100 Continue/);
    socket.write('{}');
    await received(/HTTP\/1\.1 202 /);
    socket.destroy();
  });
});

describe('a request that cannot be accepted', () => {
  const long = `{"a":"${'x'.repeat(maxBodyBytes)}"}`;
  const type = (value: string) => ({ headers: { 'Content-Type': value } });
  const table: readonly (readonly [string, string, RequestInit, number, string])[] = [
    ['another path', '/', {}, 404, 'not_found'],
    ['a path too short', '/commands/order', {}, 404, 'not_found'],
    ['a path too long', '/streams/a/b', {}, 404, 'not_found'],
    ['the path of an inherited name', '/constructor/a/b', {}, 404, 'not_found'],
    ['GET', '/streams/a', { method: 'GET', body: null }, 405, 'method_not_allowed'],
    ['DELETE', '/streams/a', { method: 'DELETE' }, 405, 'method_not_allowed'],
    ['OPTIONS, as browsers ask first', '/streams/a', { method: 'OPTIONS' }, 405, 'method_not_allowed'],
    ['a type that is no name', '/commands/order/Place-Order', {}, 422, 'invalid_request'],
    ['a type that is empty', '/commands/order/', {}, 422, 'invalid_request'],
    ['a category with a dash', '/commands/my-order/PlaceOrder', {}, 422, 'invalid_request'],
    ['a category with a partition', '/commands/bookshelf::order:eu/PlaceOrder', {}, 422, 'invalid_request'],
    ['a category with a space', '/events/my%20order/1/OrderPlaced', {}, 422, 'invalid_request'],
    ['an id that is empty', '/events/order//OrderPlaced', {}, 422, 'invalid_request'],
    ['an id with braces', '/events/order/%7B1%7D/OrderPlaced', {}, 422, 'invalid_request'],
    ['a stream with a newline', '/streams/a%0Ab', {}, 422, 'invalid_request'],
    ['a stream of 256 characters', `/streams/${'a'.repeat(256)}`, {}, 422, 'invalid_request'],
    ['a percent sign alone', '/streams/a%', {}, 400, 'invalid_path'],
    ['bytes that are not UTF-8 in the path', '/streams/%ff', {}, 400, 'invalid_path'],
    ['an option that there is not', '/commands/order/PlaceOrder?prio=1', {}, 422, 'invalid_request'],
    ['an option of events on a command', '/commands/order/PlaceOrder?published=true', {}, 422, 'invalid_request'],
    ['an option twice', '/commands/order/PlaceOrder?version=1&version=2', {}, 422, 'invalid_request'],
    ['a version of 0', '/commands/order/PlaceOrder?version=0', {}, 422, 'invalid_request'],
    ['a priority that is no number', '/commands/order/PlaceOrder?priority=high', {}, 422, 'invalid_request'],
    [
      'a day that does not exist',
      '/commands/order/PlaceOrder?deadline=2026-02-30T00:00:00Z',
      {},
      422,
      'invalid_request',
    ],
    ['a time without zone', '/commands/order/PlaceOrder?deadline=2026-02-20T00:00:00', {}, 422, 'invalid_request'],
    ['a partition key with a colon', '/commands/order/PlaceOrder?partition_key=a:b', {}, 422, 'invalid_request'],
    ['a form', '/streams/a', type('application/x-www-form-urlencoded'), 415, 'unsupported_media_type'],
    ['text, which browsers send unasked', '/streams/a', type('text/plain'), 415, 'unsupported_media_type'],
    ['another charset', '/streams/a', type('application/json; charset=latin1'), 415, 'unsupported_media_type'],
    ['a compressed body', '/streams/a', { headers: { 'Content-Encoding': 'gzip' } }, 415, 'unsupported_encoding'],
    ['a body that is too large', '/streams/a', { body: long }, 413, 'too_large'],
    ['no body', '/streams/a', { body: '' }, 400, 'invalid_json'],
    ['a body that is not JSON', '/streams/a', { body: `{"a": ${canary}}` }, 400, 'invalid_json'],
    ['a body that ends early', '/streams/a', { body: `{"a": "${canary}"` }, 400, 'invalid_json'],
    ['a body that is not UTF-8', '/streams/a', { body: Buffer.from([0x22, 0xff, 0x22]) }, 400, 'invalid_utf8'],
    ['a list as the payload of a command', '/commands/order/PlaceOrder', { body: '[]' }, 422, 'invalid_payload'],
    ['null as the payload of an event', '/events/order/1/OrderPlaced', { body: 'null' }, 422, 'invalid_payload'],
    [
      'a payload that changes prototypes',
      '/streams/a',
      { body: '{"a":[{"__proto__":{"b":1}}]}' },
      422,
      'invalid_payload',
    ],
    ['a payload nested 65 deep', '/streams/a', { body: '['.repeat(65) + ']'.repeat(65) }, 422, 'invalid_payload'],
  ];
  for (const [what, path, init, status, error] of table) {
    it(`for ${what} is answered ${status} ${error}`, async () => {
      const before = ingress.taken.length;
      const answer = await ingress.refused(path, init);
      assert.deepEqual([answer.status, answer.error], [status, error], answer.message);
      assert.ok(!answer.message.includes(canary));
      assert.equal(ingress.taken.length, before);
      assert.deepEqual(ingress.events.at(-1), { event: 'ingress.refused', status, reason: error });
    });
  }

  it('is told what there is, and what is allowed', async () => {
    const { message } = await ingress.refused('/nowhere');
    assert.match(message, /commands\/<category>\/<Type>.*events\/<category>\/<id>\/<Type>.*streams\/<stream>/);
    assert.equal((await ingress.refused('/streams/a', { method: 'PUT' })).headers.get('allow'), 'POST');
  });

  it('is told where its body ceases to be JSON', async () => {
    const { message } = await ingress.refused('/streams/a', { body: '{"a": 1,\n "b": tru }' });
    assert.equal(message, 'the body is not JSON from line 2, column 7');
  });

  it('is not read to its end when it is too large, said or not', async () => {
    const head = 'POST /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    const said = await sendRaw(ingress.port, `${head}Content-Length: 104857600\r\n\r\n{`);
    assert.match(said, /^HTTP\/1\.1 413 [\s\S]*Connection: close/);
    const unsaid = await sendRaw(
      ingress.port,
      `${head}Transfer-Encoding: chunked\r\n\r\n800\r\n"${'x'.repeat(0x7ff)}\r\n`,
    );
    assert.match(unsaid, /^HTTP\/1\.1 413 [\s\S]*Connection: close/);
  });

  it('may stop in the middle: nothing is accepted, nothing has failed', async () => {
    const before = ingress.taken.length;
    const { socket } = await openRaw(ingress.port);
    const head = 'POST /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    const seen = ingress.events.length;
    socket.write(`${head}Content-Length: 10\r\n\r\n{`, () => socket.destroy());
    while (ingress.events.length === seen) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(ingress.events.at(-1), { event: 'ingress.refused', status: 400, reason: 'incomplete' });
    assert.equal(ingress.taken.length, before);
  });
});

describe('a message that cannot be kept', () => {
  it('is answered 503 with a time to come back while the store is away', async () => {
    ingress.before(async () => {
      throw new UnavailableError('database_unavailable', `connection refused ${canary}`);
    });
    const answer = await ingress.refused('/commands/order/PlaceOrder');
    assert.deepEqual([answer.status, answer.error], [503, 'unavailable']);
    assert.equal(answer.headers.get('retry-after'), '5');
    assert.ok(!answer.message.includes(canary));
  });

  it('is answered 422 with the reason when its sender can mend it', async () => {
    ingress.before(async () => {
      throw new UsageError('there is no category "orders"; did you mean "order"?');
    });
    const answer = await ingress.refused('/commands/orders/PlaceOrder');
    assert.deepEqual([answer.status, answer.message], [422, 'there is no category "orders"; did you mean "order"?']);
  });

  it('is answered 500 without a word of the fault, which is told to the log', async () => {
    const bug = new TypeError(`bug ${canary}`);
    ingress.before(async () => {
      throw bug;
    });
    const answer = await ingress.refused('/commands/order/PlaceOrder');
    assert.deepEqual([answer.status, answer.error], [500, 'internal']);
    assert.ok(!answer.message.includes(canary));
    assert.deepEqual(ingress.events.at(-1), { event: 'http.failed', server: 'ingress', err: bug });
    ingress.before(async () => undefined);
  });
});

describe('who may send', () => {
  it('is whoever bears the token, where there is one', async () => {
    const guarded = await givenIngress('a token of some length');
    const bearing = (authorization: string) => ({ headers: { Authorization: authorization } });
    assert.equal((await guarded.send('/streams/a', bearing('Bearer a token of some length'))).status, 202);
    assert.equal((await guarded.send('/streams/a', bearing('bearer a token of some length'))).status, 202);
    for (const wrong of ['Bearer a token of some lengtH', 'Bearer a', 'Bearer', 'Basic a token of some length', '']) {
      const answer = await guarded.refused('/nowhere', wrong === '' ? {} : bearing(wrong));
      assert.deepEqual([answer.status, answer.error], [401, 'unauthorized'], wrong);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="domaind"');
    }
    await guarded.server.stop();
  });

  it('is whoever speaks to localhost, where there is no token', async () => {
    const to = (host: string) =>
      `POST /streams/a HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`;
    for (const host of ['localhost', 'LOCALHOST:8081', '127.0.0.1', '127.0.0.1:8081', '[::1]:8081']) {
      assert.match(await sendRaw(ingress.port, to(host)), /^HTTP\/1\.1 202 /, host);
    }
    for (const host of [
      'attacker.example',
      'attacker.example:8081',
      'localhost.attacker.example',
      '127.0.0.1.nip.io',
      '10.0.0.1',
    ]) {
      assert.match(await sendRaw(ingress.port, to(host)), /^HTTP\/1\.1 403 /, host);
    }
  });

  it('must be settled by a token before other machines can reach it', () => {
    const config = { host: '0.0.0.0', port: 0, token: null, maxBodyBytes };
    assert.throws(
      () => createIngressServer(config, { accept: createMemoryAccept().accept, emit: () => undefined }),
      (error) => error instanceof MisconfiguredError && error.code === 'ingress_token_missing',
    );
    assert.deepEqual(
      ['localhost', '127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '::', '128.0.0.1', 'example.org'].map(isLoopback),
      [true, true, true, true, false, false, false, false],
    );
  });
});

describe('an ingress that stops', () => {
  it('answers the requests in hand, and closes their connections', async () => {
    const stopping = await givenIngress(null);
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let entered: () => void = () => undefined;
    const inHand = new Promise<void>((resolve) => {
      entered = resolve;
    });
    stopping.before(async () => {
      entered();
      await held;
    });
    const answer = stopping.send('/streams/a');
    await inHand;
    const stopped = stopping.server.stop();
    go();
    assert.equal((await answer).status, 202);
    assert.equal((await answer).headers.get('connection'), 'close');
    await stopped;
  });

  it('cuts short those that take too long', async () => {
    const stopping = await givenIngress(null);
    const { socket, closed } = await openRaw(stopping.port);
    const head = 'POST /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    socket.write(`${head}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`);
    await new Promise((resolve) => socket.once('data', resolve));
    const hard = new AbortController();
    const stopped = stopping.server.stop(hard.signal);
    hard.abort();
    await Promise.all([stopped, closed()]);
    assert.deepEqual(stopping.taken, []);
  });
});
