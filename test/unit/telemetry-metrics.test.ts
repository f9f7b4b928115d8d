import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { UnavailableError } from '../../src/runtime/errors.ts';
import type { Gauges } from '../../src/telemetry/gauges.ts';
import { createBounded, streamLabel } from '../../src/telemetry/metric-labels.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createManualClock } from '../support/manual-clock.ts';
import type { Family } from '../support/prometheus-text.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { everyExample, examples } from '../support/telemetry-facts.ts';

/** The names that dashboards, alerts and autoscalers rest on, with their types and labels. */
const promised: { readonly [name: string]: readonly [type: string, ...labels: string[]] } = {
  outbox_pending_messages: ['gauge', 'database', 'broker'],
  outbox_oldest_pending_age_seconds: ['gauge', 'database', 'broker'],
  outbox_published_total: ['counter', 'database', 'broker'],
  outbox_refused_total: ['counter', 'database', 'broker', 'reason'],
  outbox_abandoned_messages: ['gauge', 'database', 'broker'],
  outbox_publish_latency_seconds: ['histogram', 'database', 'broker'],
  subscription_lag_messages: ['gauge', 'handler', 'stream'],
  subscription_lag_seconds: ['gauge', 'handler', 'stream'],
  subscription_pending_messages: ['gauge', 'handler', 'stream'],
  subscription_oldest_pending_age_seconds: ['gauge', 'handler', 'stream'],
  messages_handled_total: ['counter', 'handler', 'stream', 'outcome'],
  message_handle_duration_seconds: ['histogram', 'handler'],
  message_end_to_end_latency_seconds: ['histogram', 'handler'],
  messages_in_flight: ['gauge', 'handler'],
  dead_letters_messages: ['gauge', 'stream'],
  dead_letters_alert: ['gauge', 'stream'],
  dead_letters_expired_total: ['counter', 'stream'],
  reclaimed_messages_total: ['counter', 'handler'],
  entries_lost_to_trim_total: ['counter', 'handler', 'stream'],
  circuit_breaker_state: ['gauge', 'handler'],
  group_recreated_total: ['counter', 'stream', 'group'],
  partitions_owned: ['gauge', 'handler'],
  partitions_blocked: ['gauge', 'handler'],
  lease_owner: ['gauge', 'lease'],
  loop_last_progress_seconds: ['gauge', 'loop'],
  build_info: ['gauge', 'version'],
  log_lines_dropped_total: ['counter'],
  event_store_gap_wait_seconds: ['gauge', 'handler'],
  event_store_gaps_abandoned_total: ['counter', 'handler', 'stream'],
};

const someGauges: Gauges = {
  outboxes: [{ database: 'default', broker: 'default', pending: 12, abandoned: 1, oldestPendingMs: 4_500 }],
  subscriptions: [
    { handler: 'OrderSummary', stream: 'bookshelf::order', lag: 7, lagMs: 1_500, pending: 3, oldestPendingMs: 250 },
    { handler: 'Billing', stream: 'bookshelf::order', lag: null, lagMs: null, pending: 0, oldestPendingMs: null },
  ],
  deadLetters: [{ stream: 'bookshelf::order', count: 2 }],
};

function given(collect: () => Promise<Gauges> = async () => someGauges) {
  const clock = createManualClock(1_000_000);
  const errors: unknown[] = [];
  const deps = { clock, collect, onCollectError: (error: unknown) => errors.push(error) };
  const metrics = createMetrics({ version: '0.1.0', laneSuffix: 'backfill' }, deps);
  const families = async () => parsePrometheus(await metrics.text());
  /** The value of the sample of that name whose labels have these values; null where there is none. */
  const value = async (name: string, labels: { readonly [label: string]: string } = {}) => {
    const found = [...(await families()).values()]
      .flatMap(({ samples }) => samples)
      .filter(
        (each) =>
          each.name === `domaind_${name}` &&
          Object.entries(labels).every(([key, wanted]) => each.labels.get(key) === wanted),
      );
    assert.ok(found.length <= 1, `${found.length} samples of ${name}`);
    return found[0]?.value ?? null;
  };
  return { metrics, clock, errors, families, value };
}

describe('the metrics', () => {
  it('have the promised names, types and labels, and no others under the prefix', async () => {
    const { metrics, families } = given();
    for (const fact of everyExample) metrics.emit(fact);
    const moving = { ...examples['loop.stepped'], loop: 'relay' };
    metrics.emit(moving);
    const found: { [name: string]: readonly string[] } = {};
    for (const [name, { type, samples }] of await families()) {
      if (!name.startsWith('domaind_')) continue;
      assert.ok(samples.length > 0, `${name} has no sample`);
      const labels = [...(samples[0]?.labels.keys() ?? [])].filter((label) => label !== 'le');
      found[name.replace('domaind_', '')] = [type, ...labels];
    }
    assert.deepEqual(
      Object.fromEntries(Object.entries(found).sort()),
      Object.fromEntries(Object.entries(promised).sort()),
    );
  });

  it("have Node's own beside them", async () => {
    const names = [...(await given().families()).keys()];
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds']) {
      assert.ok(names.includes(name), name);
    }
  });

  it('keep to the conventions of Prometheus', async () => {
    const { metrics } = given();
    for (const fact of everyExample) metrics.emit(fact);
    const text = await metrics.text();
    for (const [name, family] of parsePrometheus(text)) assert.deepEqual(breaches(name, family), [], name);
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    const absent = promtool.error !== undefined && (promtool.error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!absent) assert.equal(`${promtool.status} ${promtool.stdout}${promtool.stderr}`, '0 ');
  });

  it('have no label that a message could fill', async () => {
    const { metrics, families } = given();
    for (const fact of everyExample) metrics.emit(fact);
    const allowed = new Set(Object.values(promised).flatMap(([, ...labels]) => labels));
    for (const [name, { samples }] of await families()) {
      if (!name.startsWith('domaind_')) continue;
      for (const { labels } of samples) {
        for (const label of labels.keys()) assert.ok(label === 'le' || allowed.has(label), `${name} ${label}`);
      }
    }
  });
});

describe('what is counted', () => {
  const outcome = (name: string) => ({ handler: 'OrderSummary', stream: 'bookshelf::order', outcome: name });

  it('is each delivery by its outcome', async () => {
    const { metrics, value } = given();
    const table = [
      [{ ...examples['delivery.handled'], outcome: 'ok' }, 'ok'],
      [{ ...examples['delivery.handled'], outcome: 'duplicate' }, 'duplicate'],
      [{ ...examples['delivery.handled'], outcome: 'skipped' }, 'skipped'],
      [examples['delivery.retried'], 'retry'],
      [examples['delivery.dead_lettered'], 'dead_letter'],
      [examples['delivery.discarded'], 'discarded'],
    ] as const;
    for (const [index, [fact]] of table.entries()) {
      for (let times = 0; times <= index; times += 1) metrics.emit(fact);
    }
    for (const [index, [, name]] of table.entries()) {
      assert.equal(await value('messages_handled_total', outcome(name)), index + 1, name);
    }
  });

  it('starts at 0 for a subscription that has begun', async () => {
    const { metrics, value } = given();
    metrics.emit(examples['subscription.started']);
    for (const name of ['ok', 'retry', 'dead_letter', 'discarded', 'duplicate', 'skipped']) {
      assert.equal(await value('messages_handled_total', outcome(name)), 0);
    }
    assert.equal(await value('circuit_breaker_state', { handler: 'OrderSummary' }), 0);
    assert.equal(await value('messages_in_flight', { handler: 'OrderSummary' }), 0);
  });

  it('is the time of handlers in seconds, but not of messages that were not handled', async () => {
    const { metrics, value } = given();
    metrics.emit({ ...examples['delivery.handled'], duration_ms: 250, lag_ms: 2_000 });
    metrics.emit({ ...examples['delivery.retried'], duration_ms: 750 });
    metrics.emit({ ...examples['delivery.handled'], outcome: 'duplicate', duration_ms: 9_000 });
    const handler = { handler: 'OrderSummary' };
    assert.equal(await value('message_handle_duration_seconds_count', handler), 2);
    assert.equal(await value('message_handle_duration_seconds_sum', handler), 1);
    assert.equal(await value('message_handle_duration_seconds_bucket', { ...handler, le: '0.25' }), 1);
    assert.equal(await value('message_handle_duration_seconds_bucket', { ...handler, le: '0.5' }), 1);
    assert.equal(await value('message_handle_duration_seconds_bucket', { ...handler, le: '1' }), 2);
    assert.equal(await value('message_end_to_end_latency_seconds_sum', handler), 2);
  });

  it('is no latency where the message says no time, and none below 0 where clocks differ', async () => {
    const { metrics, value } = given();
    metrics.emit({ ...examples['delivery.handled'], lag_ms: null });
    metrics.emit({ ...examples['delivery.handled'], lag_ms: -5_000 });
    assert.equal(await value('message_end_to_end_latency_seconds_count', { handler: 'OrderSummary' }), 1);
    assert.equal(await value('message_end_to_end_latency_seconds_sum', { handler: 'OrderSummary' }), 0);
  });

  it('is each row that was published or refused', async () => {
    const { metrics, value } = given();
    metrics.emit(examples['outbox.row_published']);
    metrics.emit(examples['outbox.row_published']);
    metrics.emit(examples['outbox.row_refused']);
    metrics.emit(examples['outbox.row_abandoned']);
    const outbox = { database: 'default', broker: 'default' };
    assert.equal(await value('outbox_published_total', outbox), 2);
    assert.equal(await value('outbox_publish_latency_seconds_count', outbox), 2);
    assert.equal(await value('outbox_refused_total', { ...outbox, reason: 'too_large' }), 2);
  });

  it('is each entry that was lost or taken over, and each group that was made again', async () => {
    const { metrics, value } = given();
    metrics.emit(examples['entries.lost']);
    metrics.emit(examples['deliveries.reclaimed']);
    metrics.emit(examples['group.recreated']);
    metrics.emit(examples['log.lines_dropped']);
    assert.equal(await value('entries_lost_to_trim_total', { handler: 'OrderSummary' }), 2);
    assert.equal(await value('reclaimed_messages_total', { handler: 'OrderSummary' }), 3);
    assert.equal(await value('group_recreated_total', { group: 'bookshelf.OrderSummary' }), 1);
    assert.equal(await value('log_lines_dropped_total'), 7);
  });

  it('stays bounded whatever the labels are', async () => {
    const { metrics, families } = given();
    for (let index = 0; index < 3_000; index += 1) {
      metrics.emit({ ...examples['delivery.handled'], stream: `external-${index}` });
      metrics.emit({ ...examples['outbox.row_refused'], reason: `reason ${index}` });
      metrics.emit({ ...examples['group.recreated'], stream: `external-${index}` });
      metrics.emit({ ...examples['lease.acquired'], lease: `lease ${index}` });
      metrics.emit({ ...examples['loop.started'], loop: `loop ${index}` });
    }
    const all = await families();
    const count = (name: string) => all.get(`domaind_${name}`)?.samples.length ?? 0;
    assert.equal(count('messages_handled_total'), 101 * 6);
    assert.equal(count('outbox_refused_total'), 33);
    assert.equal(count('group_recreated_total'), 101);
    assert.equal(count('lease_owner'), 1_000);
    assert.equal(count('loop_last_progress_seconds'), 1_000);
    const others = all
      .get('domaind_messages_handled_total')
      ?.samples.find(({ labels }) => labels.get('stream') === 'other');
    assert.equal(others?.value, 2_900);
  });

  it('survives labels with quotes, backslashes and newlines', async () => {
    const { metrics, value } = given();
    metrics.emit({ ...examples['deliveries.reclaimed'], subscription: 'a"b\\c\nd' });
    assert.equal(await value('reclaimed_messages_total', { handler: 'a"b\\c\nd' }), 3);
  });
});

describe('the label of a stream', () => {
  const table = [
    ['bookshelf::order', 'bookshelf::order'],
    ['bookshelf::order-42', 'bookshelf::order'],
    ['bookshelf::order-a-b:c', 'bookshelf::order'],
    ['bookshelf::order:eu-west', 'bookshelf::order'],
    ['bookshelf::order:42', 'bookshelf::order'],
    ['bookshelf::order:command', 'bookshelf::order:command'],
    ['bookshelf::order:command-42', 'bookshelf::order:command'],
    ['bookshelf::order:backfill', 'bookshelf::order:backfill'],
    ['bookshelf::order:command:backfill', 'bookshelf::order:command:backfill'],
    ['external-orders', 'external-orders'],
    ['plain', 'plain'],
  ] as const;
  for (const [stream, label] of table) {
    it(`of ${stream} is ${label}`, () => assert.equal(streamLabel(stream, 'backfill'), label));
  }
});

describe('values kept for keys', () => {
  it('are made once for each, and shared by those that are too many', () => {
    const made: string[] = [];
    const of = createBounded(2, (key) => ({ key: made.push(key) && key }));
    assert.equal(of('a'), of('a'));
    assert.deepEqual(
      ['b', 'c', 'd', 'b', 'other'].map((key) => of(key).key),
      ['b', 'other', 'other', 'b', 'other'],
    );
    assert.deepEqual(made, ['a', 'b', 'other']);
  });
});

describe('what is looked up', () => {
  it('stands as it was found, times in seconds', async () => {
    const { value } = given();
    const outbox = { database: 'default', broker: 'default' };
    const group = { handler: 'OrderSummary', stream: 'bookshelf::order' };
    assert.equal(await value('outbox_pending_messages', outbox), 12);
    assert.equal(await value('outbox_oldest_pending_age_seconds', outbox), 4.5);
    assert.equal(await value('outbox_abandoned_messages', outbox), 1);
    assert.equal(await value('subscription_lag_messages', group), 7);
    assert.equal(await value('subscription_lag_seconds', group), 1.5);
    assert.equal(await value('subscription_pending_messages', group), 3);
    assert.equal(await value('subscription_oldest_pending_age_seconds', group), 0.25);
    assert.equal(await value('dead_letters_messages', { stream: 'bookshelf::order' }), 2);
  });

  it('is absent where it is not known, rather than 0', async () => {
    const { value } = given();
    assert.equal(await value('subscription_lag_messages', { handler: 'Billing' }), null);
    assert.equal(await value('subscription_lag_seconds', { handler: 'Billing' }), null);
    assert.equal(await value('subscription_pending_messages', { handler: 'Billing' }), 0);
    assert.equal(await value('subscription_oldest_pending_age_seconds', { handler: 'Billing' }), 0);
  });

  it('is looked up no more than every five seconds, however often it is asked for', async () => {
    let asked = 0;
    const { metrics, clock } = given(async () => {
      asked += 1;
      return someGauges;
    });
    await Promise.all(Array.from({ length: 1_000 }, () => metrics.text()));
    assert.equal(asked, 1);
    for (let second = 1; second <= 10; second += 1) {
      await clock.advance(1_000);
      await metrics.text();
    }
    assert.equal(asked, 3);
  });

  it('is rendered once a second, however often it is asked for', async () => {
    const { metrics, clock } = given();
    const first = await metrics.text();
    metrics.emit(examples['deliveries.reclaimed']);
    await clock.advance(999);
    assert.equal(await metrics.text(), first);
    await clock.advance(1);
    assert.notEqual(await metrics.text(), first);
  });

  it('is waited for a second at most; what is counted is there all the same', async () => {
    const { metrics, clock, value } = given(() => new Promise(() => undefined));
    metrics.emit(examples['deliveries.reclaimed']);
    const text = metrics.text();
    await clock.advance(1_000);
    await text;
    assert.equal(await value('reclaimed_messages_total'), 3);
    assert.equal(await value('outbox_pending_messages'), null);
  });

  it('outlives a store that is away for a while, and is absent after a minute', async () => {
    let down = false;
    const { clock, value, errors } = given(async () => {
      if (down) throw new UnavailableError('database_unavailable', 'connection refused');
      return someGauges;
    });
    assert.equal(await value('outbox_pending_messages'), 12);
    down = true;
    await clock.advance(59_000);
    assert.equal(await value('outbox_pending_messages'), 12);
    await clock.advance(1_000);
    assert.equal(await value('outbox_pending_messages'), null);
    assert.equal(errors.length, 1);
    down = false;
    await clock.advance(5_000);
    assert.equal(await value('outbox_pending_messages'), 12);
  });
});

describe('what facts tell of', () => {
  it('is how many handlers run', async () => {
    const { metrics, clock, value } = given();
    for (let times = 0; times < 3; times += 1) metrics.emit(examples['delivery.started']);
    assert.equal(await value('messages_in_flight', { handler: 'OrderSummary' }), 3);
    await clock.advance(1_000);
    for (let times = 0; times < 3; times += 1) metrics.emit(examples['delivery.ended']);
    assert.equal(await value('messages_in_flight', { handler: 'OrderSummary' }), 0);
  });

  it('is the state of the circuit, and who owns what', async () => {
    const { metrics, clock, value } = given();
    const steps = [
      ['breaker.opened', 2],
      ['breaker.half_opened', 1],
      ['breaker.closed', 0],
    ] as const;
    for (const [name, state] of steps) {
      metrics.emit(examples[name]);
      assert.equal(await value('circuit_breaker_state', { handler: 'OrderSummary' }), state);
      await clock.advance(1_000);
    }
    for (const [name, owner] of [
      ['lease.acquired', 1],
      ['lease.lost', 0],
      ['lease.acquired', 1],
      ['lease.released', 0],
    ] as const) {
      metrics.emit(examples[name]);
      assert.equal(await value('lease_owner', { lease: 'outbox:default:0' }), owner);
      await clock.advance(1_000);
    }
  });

  it('is how long ago each loop made a step, until the loop ends', async () => {
    const { metrics, clock, value } = given();
    metrics.emit(examples['loop.started']);
    await clock.advance(4_000);
    assert.equal(await value('loop_last_progress_seconds', { loop: 'relay' }), 4);
    metrics.emit(examples['loop.stepped']);
    await clock.advance(2_000);
    assert.equal(await value('loop_last_progress_seconds', { loop: 'relay' }), 2);
    metrics.emit(examples['loop.ended']);
    await clock.advance(1_000);
    assert.equal(await value('loop_last_progress_seconds', { loop: 'relay' }), null);
  });
});

/** What `promtool check metrics` finds fault with, for machines that have none. */
function breaches(name: string, { type, help }: Family): readonly string[] {
  const rules: readonly (readonly [boolean, string])[] = [
    [help.trim() === '', 'no help'],
    [type === 'counter' && !name.endsWith('_total'), 'a counter must end in _total'],
    [type !== 'counter' && name.endsWith('_total'), 'only a counter may end in _total'],
    [type !== 'histogram' && type !== 'summary' && /_(count|sum|bucket)$/.test(name), 'a reserved ending'],
    [/_(gauge|counter|histogram|summary)$/.test(name), 'a type in the name'],
    [/[A-Z]/.test(name), 'capitals'],
    [/_(milliseconds|ms|minutes|hours|kilobytes|kb|mb)(_|$)/.test(name), 'not a base unit'],
  ];
  return rules.filter(([broken]) => broken).map(([, rule]) => rule);
}
