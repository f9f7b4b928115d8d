import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCapturedLog } from '../support/captured-log.ts';
import { everyExample, examples } from '../support/telemetry-facts.ts';

const terminal = { isTty: true };
const escapeCode = '\u001b[';

describe('the format of the log', () => {
  const shape = (text: string) => (text.startsWith('{') ? 'json' : 'console');

  it('is for people on a terminal and for machines elsewhere, unless [logging] format says', () => {
    const table = [
      ['auto', true, 'console'],
      ['auto', false, 'json'],
      ['console', false, 'console'],
      ['json', true, 'json'],
    ] as const;
    for (const [format, isTty, expected] of table) {
      const { log, text } = createCapturedLog({ format }, { isTty });
      log.emit(examples['daemon.ready']);
      assert.equal(shape(text()), expected, `${format} ${isTty}`);
    }
  });
});

describe('a line for people', () => {
  const said = (emit: (log: ReturnType<typeof createCapturedLog>['log']) => void, level: 'info' | 'debug' = 'info') => {
    const captured = createCapturedLog({ format: 'auto', level, slowHandlerThresholdMs: 0 }, terminal);
    emit(captured.log);
    return captured.text();
  };
  /** Times of day are the reader's own: compared without the hour. */
  const withoutHour = (text: string) => text.replace(/^\d\d:/gm, '--:');

  it('has the time, the level, the event and the main keys', () => {
    const text = said((log) => log.emit(examples['outbox.rows_purged']));
    assert.equal(withoutHour(text), '--:34:47.511 INFO  outbox.rows_purged database=default count=5000\n');
  });

  it('gives spans a unit', () => {
    const spans = [
      [0.42, '0.4ms'],
      [12.3, '12ms'],
      [3_210, '3.2s'],
      [90_000, '1.5min'],
    ] as const;
    for (const [duration_ms, expected] of spans) {
      assert.ok(said((log) => log.emit({ event: 'daemon.stopped', duration_ms })).endsWith(` duration=${expected}\n`));
    }
  });

  it('breaks between keys where it would be longer than the terminal is wide', () => {
    const lines = said((log) => log.emit(examples['delivery.retried'])).split('\n');
    assert.deepEqual(lines.slice(0, 3).map(withoutHour), [
      '--:34:47.511 WARN  delivery.retried OrderSummary Bookshelf.OrderPlaced.v1',
      '                   message_id=bookshelf::order-42-0.1 attempt=2 stream=bookshelf::order retry_in=3s',
      '                   duration=12ms',
    ]);
    for (const fact of everyExample) {
      for (const line of said((log) => log.emit(fact)).split('\n')) assert.ok(line.length <= 100, line);
    }
  });

  it('has its error below, without the stack', () => {
    const err = Object.assign(new TypeError('card declined\nby the bank', { cause: new Error('timeout') }), {
      code: 'E1',
    });
    const [, ...below] = said((log) => log.emit({ event: 'service.failed', service: 'relay', err })).split('\n');
    assert.deepEqual(below, [
      '                   TypeError [E1]: card declined',
      '                     by the bank',
      '                   caused by Error: timeout',
      '',
    ]);
  });

  it('has the stack, and the keys that are for machines, at level debug', () => {
    const text = said((log) => log.emit(examples['delivery.dead_lettered']), 'debug');
    assert.match(text, /\n {21} {4}at /);
    assert.match(text, /entry_id=1700000000000-0/);
    assert.doesNotMatch(
      said((log) => log.emit(examples['delivery.dead_lettered'])),
      /entry_id| {4}at /,
    );
  });

  it('quotes values that hold spaces', () => {
    const text = said((log) =>
      log.handlerLog({}).info('said', { words: 'two words', list: ['a', 'b c'], object: { a: 1 } }),
    );
    assert.match(text, / words="two words" list=a,"b c" object={"a":1}\n$/);
  });

  it('shows control characters and marks that turn text around as escapes', () => {
    const nasty = '\u001b[2J\r\n\u0007forged\u202e\u2028\u0085';
    const text = said((log) =>
      log.handlerLog({ stream: nasty }).info(nasty, { [nasty]: nasty, err: new Error(nasty) }),
    );
    for (const line of text.split('\n')) assert.doesNotMatch(line, /[\p{Cc}\u202e\u2028]/u);
    assert.match(text, /\\u001b\[2J/);
  });

  it('has colours where they are wanted, and none elsewhere', () => {
    const { log, text } = createCapturedLog({ format: 'auto' }, { isTty: true, color: true });
    log.emit(examples['service.failed']);
    assert.ok(text().includes(`${escapeCode}31mERROR`));
    assert.ok(!said((plain) => plain.emit(examples['service.failed'])).includes(escapeCode));
  });

  it('is as wide with colours as without', () => {
    for (const fact of everyExample) {
      const colored = createCapturedLog({ format: 'auto' }, { isTty: true, color: true });
      colored.log.emit(fact);
      const plain = createCapturedLog({ format: 'auto' }, { isTty: true });
      plain.log.emit(fact);
      const codes = new RegExp(`${escapeCode.replace('[', '\\[')}\\d+m`, 'g');
      assert.equal(colored.text().replace(codes, ''), plain.text());
    }
  });
});
