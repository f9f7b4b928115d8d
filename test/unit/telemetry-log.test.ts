import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HandlerLog } from '../../src/handler/handler.ts';
import { logLines } from '../../src/telemetry/log-lines.ts';
import { createCapturedLog } from '../support/captured-log.ts';
import { everyExample, examples } from '../support/telemetry-facts.ts';

describe('the log', () => {
  it('has a line for every fact, with all its fields, or says that it is never logged', () => {
    for (const fact of everyExample) {
      const { log, lines } = createCapturedLog({ level: 'debug', slowHandlerThresholdMs: 0 });
      log.emit(fact);
      const { level } = logLines[fact.event];
      if (level === null) {
        assert.deepEqual(lines(), [], fact.event);
        continue;
      }
      const [line, ...more] = lines();
      assert.deepEqual(more, [], fact.event);
      assert.equal(line?.['msg'], fact.event);
      assert.equal(line['level'], level);
      const fields = Object.keys(fact).filter((key) => key !== 'event');
      assert.deepEqual(Object.keys(line).sort(), [...fields, 'level', 'msg', 'time'].sort(), fact.event);
    }
  });

  it('never logs what happens with each step or handler, or that it could not log', () => {
    const never = Object.entries(logLines).filter(([, { level }]) => level === null);
    assert.deepEqual(
      never.map(([name]) => name),
      ['loop.stepped', 'loop.started', 'loop.ended', 'delivery.started', 'delivery.ended', 'log.lines_dropped'],
    );
  });

  it('writes one JSON object a line, with the time of its clock', () => {
    const { log, text } = createCapturedLog();
    log.emit(examples['daemon.started']);
    assert.equal(
      text(),
      '{"level":"info","time":"2026-11-23T14:34:47.511Z","domain":"bookshelf","version":"0.1.0","pid":42,"msg":"daemon.started"}\n',
    );
  });

  it('says nothing below its level', () => {
    const { log, lines } = createCapturedLog({ level: 'warn' });
    for (const fact of everyExample) log.emit(fact);
    assert.deepEqual(new Set(lines().map((line) => line['level'])), new Set(['warn', 'error']));
  });

  it('says nothing at all when silent', () => {
    const { log, text } = createCapturedLog({ level: 'silent' });
    for (const fact of everyExample) log.emit(fact);
    log.handlerLog({}).error('x');
    assert.equal(text(), '');
  });

  it('leaves out what is not known', () => {
    const { log, lines } = createCapturedLog();
    log.emit({ event: 'connection.lost', connection: 'brokers.default', err: null });
    assert.deepEqual(Object.keys(lines()[0] ?? {}), ['level', 'time', 'connection', 'msg']);
  });

  it('rounds times to a microsecond and bounds lists', () => {
    const { log, lines } = createCapturedLog();
    log.emit({ ...examples['daemon.ready'], duration_ms: 1.23456789 });
    const entry_ids = Array.from({ length: 5_000 }, (_, index) => `${index}-0`);
    log.emit({ ...examples['entries.lost'], entry_ids });
    assert.equal(lines()[0]?.['duration_ms'], 1.235);
    assert.deepEqual(lines()[1]?.['entry_ids'], entry_ids.slice(0, 50));
  });

  it('takes no field that a fact should not have', () => {
    const { log, text } = createCapturedLog();
    const careless = { ...examples['delivery.dead_lettered'], body: 's3cr3t-canary' };
    log.emit(careless);
    assert.doesNotMatch(text(), /canary/);
  });

  it('names a slow handler at warn, also one that failed', () => {
    const { log, lines } = createCapturedLog();
    log.emit({ ...examples['delivery.handled'], duration_ms: 499 });
    log.emit({ ...examples['delivery.handled'], duration_ms: 500 });
    log.emit({ ...examples['delivery.retried'], subscription: 'Billing', duration_ms: 9_000 });
    const slow = lines().filter((line) => line['msg'] === 'handler.slow');
    assert.deepEqual(
      slow.map((line) => [line['level'], line['subscription'], line['duration_ms']]),
      [
        ['warn', 'OrderSummary', 500],
        ['warn', 'Billing', 9_000],
      ],
    );
  });

  it('names no slow handler when the threshold is 0', () => {
    const { log, text } = createCapturedLog({ slowHandlerThresholdMs: 0 });
    log.emit({ ...examples['delivery.handled'], duration_ms: 60_000 });
    assert.equal(text(), '');
  });

  it('does not say of a dropped line that it was dropped while lines are dropped', () => {
    const { log, text, setFull } = createCapturedLog();
    setFull(true);
    log.emit(examples['daemon.ready']);
    log.emit(examples['log.lines_dropped']);
    setFull(false);
    assert.equal(text(), '');
  });

  it('says how many lines were dropped, once lines go out again', () => {
    const { log, lines, setFull } = createCapturedLog();
    setFull(true);
    for (let index = 0; index < 3; index += 1) log.emit(examples['daemon.ready']);
    setFull(false);
    log.emit(examples['daemon.stopped']);
    log.emit(examples['daemon.stopped']);
    assert.deepEqual(
      lines().map((line) => [line['msg'], line['count']]),
      [
        ['daemon.stopped', undefined],
        ['log.lines_dropped', 3],
        ['daemon.stopped', undefined],
      ],
    );
  });
});

describe('a fault that repeats', () => {
  const declined = examples['delivery.retried'];

  it('is said at once, then once a window with its count', async () => {
    const { log, clock, lines } = createCapturedLog();
    for (let index = 0; index < 5; index += 1) log.emit(declined);
    assert.equal(lines().length, 1);
    await clock.advance(9_999);
    assert.equal(lines().length, 1);
    await clock.advance(1);
    assert.deepEqual(
      lines().map((line) => line['count']),
      [undefined, 4],
    );
    await log.flush(0);
  });

  it('goes on being said once a window while it lasts, and at once when it comes back', async () => {
    const { log, clock, lines } = createCapturedLog();
    for (let second = 0; second < 30; second += 1) {
      log.emit(declined);
      await clock.advance(1_000);
    }
    assert.deepEqual(
      lines().map((line) => line['count']),
      [undefined, 9, 10, 10],
    );
    await clock.advance(20_000);
    log.emit(declined);
    assert.deepEqual(
      lines().map((line) => line['count']),
      [undefined, 9, 10, 10, undefined],
    );
    await log.flush(0);
  });

  it('is told apart by its event, its place and the code of its error', () => {
    const { log, lines } = createCapturedLog();
    const coded = (code: string) => Object.assign(new Error('no'), { code });
    log.emit({ ...declined, err: coded('23505') });
    log.emit({ ...declined, err: coded('40001') });
    log.emit({ ...declined, subscription: 'Billing', err: coded('23505') });
    log.emit({ ...examples['delivery.dead_lettered'], err: coded('23505') });
    log.emit({ ...declined, entry_id: '9-9', message_id: 'other', err: coded('23505') });
    assert.equal(lines().length, 4);
  });

  it('is told apart by its words where the error has no code, but not by the numbers in them', () => {
    const { log, lines } = createCapturedLog();
    log.emit({ ...declined, err: new Error('order 41 is not there') });
    log.emit({ ...declined, err: new Error('order 42 is not there') });
    log.emit({ ...declined, err: new Error('the printer is on fire') });
    assert.equal(lines().length, 2);
  });

  it('is said each time at level debug', () => {
    const { log, lines } = createCapturedLog({ level: 'debug', slowHandlerThresholdMs: 0 });
    for (let index = 0; index < 5; index += 1) log.emit(declined);
    assert.equal(lines().length, 5);
  });

  it('is said with its count when the log ends', async () => {
    const { log, lines } = createCapturedLog();
    for (let index = 0; index < 3; index += 1) log.emit(declined);
    await log.flush(1_000);
    assert.deepEqual(
      lines().map((line) => line['count']),
      [undefined, 2],
    );
  });
});

describe("a handler's own lines", () => {
  const bindings = { subscription: 'OrderSummary', message_id: 'm-1', attempt: 1, correlation_id: null };

  it('bear the message and its facts beside what they are about', () => {
    const { log, lines } = createCapturedLog();
    const voice: HandlerLog = log.handlerLog(bindings);
    voice.info('charged', { amount: 12, currency: 'EUR' });
    const { time, ...line } = lines()[0] ?? {};
    assert.deepEqual(line, {
      level: 'info',
      subscription: 'OrderSummary',
      message_id: 'm-1',
      attempt: 1,
      amount: 12,
      currency: 'EUR',
      msg: 'charged',
    });
  });

  it('cannot pretend to be another message, or take the place of the level', () => {
    const { log, text, lines } = createCapturedLog();
    log.handlerLog(bindings).warn('x', { message_id: 'forged', level: 'info', msg: 'forged', time: 0 });
    const line = lines()[0] ?? {};
    assert.equal(text().match(/"message_id":/g)?.length, 1);
    assert.deepEqual([line['message_id'], line['level'], line['msg']], ['m-1', 'warn', 'x']);
    assert.equal(line['message_id_'], 'forged');
  });

  it('mask what is named like a secret, and what [logging] redact names', () => {
    const { log, text } = createCapturedLog({ redact: ['email', 'card.number'] });
    log.handlerLog(bindings).info('x', {
      password: 'canary-1',
      nested: { apiKey: 'canary-2', list: [{ Email: 'canary-3' }], access_token: 'canary-4' },
      card: { number: 'canary-5', brand: 'visa' },
      number: 7,
    });
    assert.doesNotMatch(text(), /canary/);
    assert.match(text(), /"brand":"visa"/);
    assert.match(text(), /"number":7/);
  });

  it('mask the fields of facts too where [logging] redact names them', () => {
    const { log, lines } = createCapturedLog({ redact: ['correlation_id', 'err.message'] });
    log.emit(examples['delivery.dead_lettered']);
    const line = lines()[0] ?? {};
    assert.equal(line['correlation_id'], '[redacted]');
    assert.equal((line['err'] as { readonly message: string }).message, '[redacted]');
  });

  it('survive whatever they are given', () => {
    const { log, lines } = createCapturedLog();
    const voice = log.handlerLog(bindings);
    const circle: { self?: object } = {};
    circle.self = circle;
    const throwing = {
      get amount() {
        throw new Error('no');
      },
    };
    const hostile = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no');
        },
      },
    );
    const given = [
      circle,
      throwing,
      hostile,
      { big: 10n },
      { bytes: Buffer.alloc(10) },
      { fn: () => 1 },
      { nan: Number.NaN },
    ];
    for (const facts of [...given, { wide: Array.from({ length: 10_000 }, () => 'x'.repeat(10_000)) }, null, 'text']) {
      voice.info('x', facts as object);
    }
    assert.equal(lines().length, given.length + 3);
    for (const line of lines()) assert.ok(JSON.stringify(line).length < 40_000);
  });

  it('take an error as the facts', () => {
    const { log, lines } = createCapturedLog();
    log.handlerLog(bindings).error('failed', Object.assign(new Error('no'), { command: 'canary' }));
    const { type, message } = (lines()[0]?.['err'] ?? {}) as { readonly [key: string]: unknown };
    assert.deepEqual([type, message], ['Error', 'no']);
    assert.doesNotMatch(JSON.stringify(lines()), /canary/);
  });
});
