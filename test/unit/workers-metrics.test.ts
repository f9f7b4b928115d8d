import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { createWorkersMetrics } from '../../src/cli/workers-metrics.ts';
import type { Asker } from '../../src/telemetry/asker.ts';
import { mergeMetrics, readMetrics, writeMetrics } from '../../src/telemetry/merge-metrics.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { everyExample } from '../support/telemetry-facts.ts';

const pending = { database: 'default', broker: 'default', pending: 12, abandoned: 0, oldestPendingMs: 4_000 };

/** A process that has seen one of every fact, and how often the stores were looked at for it. */
function aProcess() {
  const clock = createManualClock(0);
  let looks = 0;
  const collect = async () => {
    looks += 1;
    return { outboxes: [pending], subscriptions: [], deadLetters: [] };
  };
  const metrics = createMetrics(
    { version: '0.1.0', laneSuffix: null },
    { clock, collect, onCollectError: () => undefined },
  );
  for (const fact of everyExample) metrics.emit(fact);
  const asker: Asker = {
    ask: async (_, stores) => ({ status: 200, body: await metrics.text(stores) }),
    heard: () => undefined,
  };
  return { metrics, asker, looks: () => looks };
}

const silent: Asker = { ask: async () => null, heard: () => undefined };

const valueIn = (text: string, name: string): number =>
  (parsePrometheus(text).get(name)?.samples ?? []).reduce((sum, { value }) => sum + value, 0);

describe('metrics that are read and written again', () => {
  it('are the same', async () => {
    const text = await aProcess().metrics.text();
    const again = writeMetrics(readMetrics(text));
    assert.deepEqual(parsePrometheus(again), parsePrometheus(text));
  });
});

describe('the metrics of several processes', () => {
  const counted = 'domaind_outbox_published_total';

  it('add counts and histograms up, and what each has its own part of', async () => {
    const [one, other] = [aProcess(), aProcess()];
    const text = await one.metrics.text();
    const merged = writeMetrics(mergeMetrics([text, await other.metrics.text()].map(readMetrics)));
    for (const name of [
      counted,
      'domaind_messages_handled_total',
      'domaind_messages_in_flight',
      'process_resident_memory_bytes',
    ])
      assert.ok(valueIn(merged, name) > 1.5 * valueIn(text, name) || valueIn(text, name) === 0, name);
    assert.equal(valueIn(merged, counted), 2 * valueIn(text, counted));
    const histogram = 'domaind_message_handle_duration_seconds';
    assert.equal(valueIn(merged, histogram), 2 * valueIn(text, histogram));
  });

  it('take the greatest of what all see alike', async () => {
    const [one, other] = [await aProcess().metrics.text(), await aProcess().metrics.text()];
    const merged = writeMetrics(mergeMetrics([one, other].map(readMetrics)));
    for (const name of ['domaind_outbox_pending_messages', 'domaind_build_info', 'domaind_lease_owner'])
      assert.equal(valueIn(merged, name), valueIn(one, name), name);
  });

  it('have the stores looked at by one of them', async () => {
    const [one, other] = [aProcess(), aProcess()];
    const all = [
      { number: 1, restarts: 0, asker: one.asker },
      { number: 2, restarts: 0, asker: other.asker },
    ];
    const { body } = await createWorkersMetrics(() => 0).answer(all);
    assert.deepEqual([one.looks(), other.looks()], [1, 0]);
    assert.equal(valueIn(body, 'domaind_outbox_pending_messages'), 12);
  });

  it('never fall: what one has counted that has ended stays, and what one said that does not answer', async () => {
    const metrics = createWorkersMetrics(() => 3);
    const [one, other] = [aProcess(), aProcess()];
    const slot = (number: number, asker: Asker | null, restarts = 0) => ({ number, asker, restarts });
    const both = (await metrics.answer([slot(1, one.asker), slot(2, other.asker)])).body;
    assert.equal(valueIn(both, 'domaind_log_lines_dropped_total') % 2, 1, 'with those of the one that runs them');
    const held = (await metrics.answer([slot(1, silent), slot(2, other.asker)])).body;
    assert.equal(valueIn(held, counted), valueIn(both, counted));
    metrics.ended(1);
    const left = (await metrics.answer([slot(1, null), slot(2, other.asker)])).body;
    assert.equal(valueIn(left, counted), valueIn(both, counted));
    const again = (await metrics.answer([slot(1, aProcess().asker, 1), slot(2, other.asker)])).body;
    assert.equal(valueIn(again, counted), 1.5 * valueIn(both, counted));
    assert.equal(valueIn(again, 'domaind_worker_restarts_total'), 1);
  });

  it('are what Prometheus takes without a word', async () => {
    const { body } = await createWorkersMetrics(() => 0).answer([{ number: 1, restarts: 2, asker: aProcess().asker }]);
    parsePrometheus(body);
    const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
      input: body,
      encoding: 'utf8',
    });
    if (error === undefined) assert.equal(`${status} ${stdout}${stderr}`, '0 ');
  });
});
