import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, it } from 'node:test';
import { activeSpan } from '../../src/telemetry/active-span.ts';
import { createCapturedLog } from '../support/captured-log.ts';

const api = Symbol.for('opentelemetry.js.api.1');
const spanKey = Symbol.for('OpenTelemetry Context Key SPAN');
const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

const active = new AsyncLocalStorage<ReadonlyMap<symbol, unknown>>();
const context = { active: () => ({ getValue: (key: symbol) => active.getStore()?.get(key) }) };
const provide = (given: unknown) => Object.assign(globalThis, { [api]: given });
const within = <T>(span: object, run: () => T): T => active.run(new Map([[spanKey, span]]), run);

describe('a log line that is written inside of a span of OpenTelemetry', () => {
  afterEach(() => {
    delete (globalThis as { [key: symbol]: unknown })[api];
  });

  it('has the ids of the trace and the span, also after an await', async () => {
    provide({ context });
    const { log, lines } = createCapturedLog({ format: 'json' });
    await within({ spanContext: () => ids }, async () => {
      await Promise.resolve();
      log.handlerLog({ subscription: 'Billing' }).info('charged', { trace_id: 'mine' });
    });
    const [line] = lines();
    assert.deepEqual([line?.['trace_id'], line?.['span_id'], line?.['trace_id_']], [ids.traceId, ids.spanId, 'mine']);
  });

  it('is as ever where there is none', () => {
    const { log, lines } = createCapturedLog({ format: 'json' });
    log.handlerLog({}).info('charged');
    provide({ context });
    log.handlerLog({}).info('charged');
    for (const line of lines()) assert.ok(!('trace_id' in line));
  });
});

describe('the span that is active', () => {
  afterEach(() => {
    delete (globalThis as { [key: symbol]: unknown })[api];
  });

  const odd: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['an API without contexts', {}],
    [
      'a context that throws',
      {
        context: {
          active: () => {
            throw new Error('no');
          },
        },
      },
    ],
    ['a span that says nothing', { context: { active: () => ({ getValue: () => ({ spanContext: () => ({}) }) }) } }],
    [
      'a span that is none',
      {
        context: {
          active: () => ({
            getValue: () => ({ spanContext: () => ({ traceId: '0'.repeat(32), spanId: '0'.repeat(16) }) }),
          }),
        },
      },
    ],
  ];
  for (const [what, given] of odd) {
    it(`is none with ${what}`, () => {
      provide(given);
      assert.equal(activeSpan(), null);
    });
  }
});
