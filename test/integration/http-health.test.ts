import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../src/runtime/clock.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import type { TelemetryEvent } from '../../src/telemetry/event.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { createHealthAnswers } from '../../src/telemetry/health-answers.ts';
import { createHealthServer } from '../../src/telemetry/health-server.ts';
import type { HttpServer } from '../../src/telemetry/http-server.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { openRaw, sendRaw } from '../support/raw-http.ts';

const paths = ['/livez', '/readyz', '/startupz', '/healthz', '/metrics', '/version'];
const quick = { headersTimeoutMs: 150, requestTimeoutMs: 300, checkEveryMs: 20 };

function given(config: { readonly host?: string; readonly port?: number } = {}, limits?: typeof quick) {
  const state = createHealthState();
  const events: TelemetryEvent[] = [];
  const emit = (event: TelemetryEvent) => void events.push(event);
  const gauges = { outboxes: [], subscriptions: [], deadLetters: [] };
  const metrics = createMetrics(
    { version: '0.1.0', laneSuffix: null },
    { clock: systemClock, collect: async () => gauges, onCollectError: () => undefined },
  );
  const ask = createHealthAnswers({ state, metrics, version: '0.1.0', clock: systemClock });
  const deps = { ask, emit, ...(limits ? { limits } : {}) };
  return { state, events, server: createHealthServer({ host: '127.0.0.1', port: 0, ...config }, deps) };
}

const { state, events, server } = given();
let port = 0;
before(async () => {
  port = await server.start();
});
after(() => server.stop());

const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });

describe('the health endpoints', () => {
  it('listen on a free port when told 0, and say which', () => {
    assert.ok(port > 0);
    assert.deepEqual(events[0], { event: 'http.listening', server: 'health', host: '127.0.0.1', port });
  });

  it('answer with JSON, and 503 where they say no', async () => {
    state.phase = 'starting';
    state.brokers.set('default', 'unknown');
    const starting = await ask('/readyz');
    assert.equal(starting.status, 503);
    assert.equal((await ask('/startupz')).status, 503);
    assert.equal((await ask('/livez')).status, 200);
    state.phase = 'running';
    state.brokers.set('default', 'ok');
    const running = await ask('/readyz');
    assert.equal(running.status, 200);
    assert.equal(running.headers.get('content-type'), 'application/json; charset=utf-8');
    assert.equal(running.headers.get('cache-control'), 'no-store');
    assert.deepEqual(await running.json(), {
      status: 'ok',
      checks: { databases: {}, brokers: { default: 'ok' }, shutting_down: false, subscriptions: {} },
    });
    assert.equal((await ask('/startupz')).status, 200);
    assert.deepEqual(await (await ask('/version')).json(), { name: 'domaind', version: '0.1.0' });
  });

  it('name the loops that hang', async () => {
    state.loops.set('relay', { boundMs: 1, steppedAt: -10_000_000 });
    for (const path of ['/livez', '/healthz']) {
      const answer = await ask(path);
      assert.equal(answer.status, 503);
      assert.deepEqual(await answer.json(), { status: 'stalled', loops: ['relay'] });
    }
    state.loops.clear();
    assert.equal((await ask('/livez')).status, 200);
  });

  it('give the metrics in the text format of Prometheus', async () => {
    const answer = await ask('/metrics');
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.ok(parsePrometheus(await answer.text()).has('domaind_build_info'));
  });

  it('answer HEAD as GET, without the body, and pass over the query', async () => {
    for (const path of paths) {
      const [get, head] = [await ask(`${path}?verbose`), await ask(path, 'HEAD')];
      assert.equal(head.status, get.status, path);
      assert.ok(Number(head.headers.get('content-length')) > 0, path);
      assert.equal(await head.text(), '');
      await get.text();
    }
  });

  it('say what there is where nothing is', async () => {
    for (const path of ['/', '/livez/', '//livez', '/constructor', '/__proto__']) {
      const answer = await ask(path);
      assert.equal(answer.status, 404, path);
      assert.match(await answer.text(), /\/livez, \/healthz, \/readyz, \/startupz, \/version, \/metrics/);
    }
  });

  it('keep a connection open for more than one request', async () => {
    const { socket, received } = await openRaw(port);
    socket.write('GET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n');
    const text = await received(/(200 OK[\s\S]*){2}/);
    assert.doesNotMatch(text, /Connection: close/i);
    socket.destroy();
  });

  it('ignore a wish for another protocol', async () => {
    const upgrade = 'GET /version HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n';
    assert.match(await sendRaw(port, upgrade), /^HTTP\/1\.1 200 OK/);
  });
});

describe('a request that is not for reading', () => {
  const methods = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];
  for (const method of methods) {
    it(`${method} is answered 405 with what is allowed, and the connection closed`, async () => {
      const text = await sendRaw(port, `${method} /livez HTTP/1.1\r\nHost: x\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 405 Method Not Allowed/);
      assert.match(text, /Allow: GET, HEAD/);
      assert.match(text, /Connection: close/);
    });
  }

  it('is answered before its body has come', async () => {
    const head = 'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n{';
    assert.match(await sendRaw(port, head), /^HTTP\/1\.1 405 /);
  });

  it('is not told to go on when it asks', async () => {
    const head = 'PUT /livez HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n';
    assert.match(await sendRaw(port, head), /^HTTP\/1\.1 405 /);
  });

  it('is refused as CONNECT too', async () => {
    assert.match(await sendRaw(port, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'), /^HTTP\/1\.1 405 /);
  });

  it('is closed after its answer when a GET has a body', async () => {
    const text = await sendRaw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200 OK/);
    assert.match(text, /Connection: close/);
  });
});

describe('a request that is not HTTP as it should be', () => {
  const table: readonly (readonly [string, string, number])[] = [
    ['headers of 20 KB', `GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a URL of 20 KB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['garbage', 'not http at all\r\n\r\n', 400],
    ['the hello of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['no Host', 'GET /livez HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['a CR in a header', 'GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n', 400],
    ['a NUL in the path', 'GET /live\0z HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['a method that is none', 'FETCH /livez HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  ];
  for (const [what, bytes, status] of table) {
    it(`with ${what} is answered ${status}`, async () => {
      assert.match(await sendRaw(port, bytes), new RegExp(`^HTTP/1\\.1 ${status} `));
    });
  }
});

describe('a client that holds on', () => {
  const held = given({}, quick);
  let heldPort = 0;
  before(async () => {
    heldPort = await held.server.start();
  });
  after(() => held.server.stop());

  it('with headers that do not end is answered 408', async () => {
    assert.match(await sendRaw(heldPort, 'GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: '), /^HTTP\/1\.1 408 /);
  });

  it('and says nothing is closed', async () => {
    const { closed } = await openRaw(heldPort);
    await closed();
  });

  it('does not keep the others from being answered, up to the bound of connections', async () => {
    const slow = await Promise.all(Array.from({ length: 60 }, () => openRaw(port)));
    for (const { socket } of slow) socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n');
    assert.equal((await ask('/livez')).status, 200);
    const more = await Promise.all(Array.from({ length: 10 }, () => openRaw(port)));
    const refused = await Promise.race(more.map(({ closed }) => closed()));
    assert.equal(refused, '');
    for (const { socket } of [...slow, ...more]) socket.destroy();
  });
});

describe('a server that cannot listen', () => {
  const fault = async (failing: HttpServer): Promise<Error> => {
    try {
      await failing.start();
    } catch (error) {
      assert.ok(error instanceof MisconfiguredError);
      return error;
    }
    throw new Error('it listens');
  };

  it('says so with the key of domain.toml when the port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port: taken } = other.address() as { readonly port: number };
    const { code, message } = (await fault(given({ port: taken }).server)) as MisconfiguredError;
    assert.equal(code, 'port_in_use');
    assert.match(message, new RegExp(`^\\[server\\.health\\] port: port ${taken} of 127\\.0\\.0\\.1 is in use`));
    await new Promise((resolve) => other.close(resolve));
  });

  it('says so with the key of domain.toml when the address is not of this machine', async () => {
    const { code, message } = (await fault(given({ host: '192.0.2.1' }).server)) as MisconfiguredError;
    assert.equal(code, 'address_not_available');
    assert.match(message, /^\[server\.health\] host: 192\.0\.2\.1 is not an address of this machine/);
  });
});

describe('a server that stops', () => {
  it('closes idle connections, takes no more, and may be told twice', async () => {
    const { server: stopping } = given();
    const at = await stopping.start();
    const { closed } = await openRaw(at);
    await Promise.all([stopping.stop(), stopping.stop()]);
    await closed();
    await assert.rejects(fetch(`http://127.0.0.1:${at}/livez`));
  });

  it('may be told before it has started', async () => {
    await given().server.stop();
  });
});
