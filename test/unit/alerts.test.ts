import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { promtool, toolsAdvice } from '../../scripts/deploy-tools.mjs';
import { commands } from '../../src/cli/commands.ts';
import { workerRestarts } from '../../src/cli/workers-metrics.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { parsePrometheus } from '../support/prometheus-text.ts';
import { everyExample } from '../support/telemetry-facts.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const alertsFile = 'helm/domaind/files/alerts.yaml';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const rules: readonly Rule[] = parse(read(alertsFile)).groups.flatMap(
  ({ rules: each }: { readonly rules: readonly Rule[] }) => each,
);

/** Every name that a scrape may bring, after every fact was told once. */
async function names(): Promise<ReadonlySet<string>> {
  const collect = async () => ({
    outboxes: [{ database: 'd', broker: 'b', pending: 1, abandoned: 1, oldestPendingMs: 1 }],
    subscriptions: [{ handler: 'h', stream: 's', lag: 1, lagMs: 1, pending: 1, oldestPendingMs: 1 }],
    deadLetters: [{ stream: 's', count: 1 }],
  });
  const metrics = createMetrics(
    { version: '0', laneSuffix: null },
    { clock: createManualClock(1_000), collect, onCollectError: () => undefined },
  );
  for (const fact of everyExample) metrics.emit(fact);
  const families = parsePrometheus(await metrics.text());
  return new Set([
    workerRestarts.name,
    ...[...families].flatMap(([name, { type }]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  ]);
}

const namedIn = (expressions: readonly string[]): readonly string[] => [
  ...new Set(expressions.flatMap((text) => text.match(/\b(?:domaind|process|nodejs)_[a-z0-9_]+/g) ?? [])),
];

interface Case {
  readonly alert: string;
  /** Series by their values, one a minute. */
  readonly series: { readonly [series: string]: string };
  /** When it is looked at, in minutes. */
  readonly at: number;
  readonly labels: { readonly [label: string]: string };
  /** The same with nothing wrong: the alert stays away. */
  readonly sound: { readonly [series: string]: string };
}

const outbox = '{database="default",broker="default"}';
const ofHandler = '{handler="Bills",stream="shop::order"}';
const place = { database: 'default', broker: 'default' };
const subscription = { handler: 'Bills', stream: 'shop::order' };

const cases: readonly Case[] = [
  {
    alert: 'DomaindDown',
    series: { other: '1x30' },
    at: 10,
    labels: {},
    sound: { 'domaind_build_info{version="1"}': '1x30' },
  },
  {
    alert: 'DomaindOutboxStuck',
    series: { [`domaind_outbox_oldest_pending_age_seconds${outbox}`]: '0+60x30' },
    at: 20,
    labels: place,
    sound: { [`domaind_outbox_oldest_pending_age_seconds${outbox}`]: '5x30' },
  },
  {
    alert: 'DomaindOutboxGrowing',
    series: { [`domaind_outbox_pending_messages${outbox}`]: '2000+100x60' },
    at: 50,
    labels: place,
    sound: { [`domaind_outbox_pending_messages${outbox}`]: '9000-100x60' },
  },
  {
    alert: 'DomaindOutboxRowsAbandoned',
    series: { [`domaind_outbox_abandoned_messages${outbox}`]: '0 0 2x20' },
    at: 10,
    labels: place,
    sound: { [`domaind_outbox_abandoned_messages${outbox}`]: '0x20' },
  },
  {
    alert: 'DomaindPublishRefused',
    series: { 'domaind_outbox_refused_total{database="default",broker="default",reason="too_large"}': '0+1x40' },
    at: 30,
    labels: { ...place, reason: 'too_large' },
    sound: { 'domaind_outbox_refused_total{database="default",broker="default",reason="too_large"}': '7x40' },
  },
  {
    alert: 'DomaindSubscriptionLagging',
    series: { [`domaind_subscription_lag_seconds${ofHandler}`]: '400x40' },
    at: 20,
    labels: subscription,
    sound: { [`domaind_subscription_lag_seconds${ofHandler}`]: '200x40' },
  },
  {
    alert: 'DomaindSubscriptionStuck',
    series: {
      [`domaind_subscription_lag_messages${ofHandler}`]: '5x60',
      [`domaind_subscription_pending_messages${ofHandler}`]: '1x60',
      'domaind_messages_handled_total{handler="Bills",stream="shop::order",outcome="ok"}': '9x60',
    },
    at: 50,
    labels: { handler: 'Bills' },
    sound: {
      [`domaind_subscription_lag_messages${ofHandler}`]: '5x60',
      [`domaind_subscription_pending_messages${ofHandler}`]: '1x60',
      'domaind_messages_handled_total{handler="Bills",stream="shop::order",outcome="ok"}': '9+1x60',
    },
  },
  {
    alert: 'DomaindEntryPendingTooLong',
    series: { [`domaind_subscription_oldest_pending_age_seconds${ofHandler}`]: '4000+60x20' },
    at: 15,
    labels: subscription,
    sound: { [`domaind_subscription_oldest_pending_age_seconds${ofHandler}`]: '30x20' },
  },
  {
    alert: 'DomaindDeadLetters',
    series: { 'domaind_dead_letters_messages{stream="shop::order"}': '_x20 3x20' },
    at: 25,
    labels: { stream: 'shop::order' },
    sound: { 'domaind_dead_letters_messages{stream="shop::order"}': '3x60' },
  },
  {
    alert: 'DomaindHandlerFailing',
    series: {
      'domaind_messages_handled_total{handler="Bills",stream="s",outcome="retry"}': '0+30x40',
      'domaind_messages_handled_total{handler="Bills",stream="s",outcome="ok"}': '0+60x40',
    },
    at: 30,
    labels: { handler: 'Bills' },
    sound: {
      'domaind_messages_handled_total{handler="Bills",stream="s",outcome="retry"}': '0+1x40',
      'domaind_messages_handled_total{handler="Bills",stream="s",outcome="ok"}': '0+60x40',
    },
  },
  {
    alert: 'DomaindCircuitOpen',
    series: { 'domaind_circuit_breaker_state{handler="Bills"}': '2x20' },
    at: 10,
    labels: { handler: 'Bills' },
    sound: { 'domaind_circuit_breaker_state{handler="Bills"}': '1x20' },
  },
  {
    alert: 'DomaindEntriesLost',
    series: { [`domaind_entries_lost_to_trim_total${ofHandler}`]: '0x10 4x10' },
    at: 12,
    labels: subscription,
    sound: { [`domaind_entries_lost_to_trim_total${ofHandler}`]: '4x20' },
  },
  {
    alert: 'DomaindGroupRecreated',
    series: { 'domaind_group_recreated_total{stream="shop::order",group="g"}': '0x10 1x10' },
    at: 12,
    labels: { stream: 'shop::order', group: 'g' },
    sound: { 'domaind_group_recreated_total{stream="shop::order",group="g"}': '1x20' },
  },
  {
    alert: 'DomaindLoopStalled',
    series: { 'domaind_loop_last_progress_seconds{loop="monitor",instance="a"}': '0+60x20' },
    at: 10,
    labels: { loop: 'monitor', instance: 'a' },
    sound: { 'domaind_loop_last_progress_seconds{loop="outbox:default:retention",instance="a"}': '0+60x20' },
  },
  {
    alert: 'DomaindReclaiming',
    series: { 'domaind_reclaimed_messages_total{handler="Bills"}': '0+20x60' },
    at: 50,
    labels: { handler: 'Bills' },
    sound: { 'domaind_reclaimed_messages_total{handler="Bills"}': '0+1x60' },
  },
  {
    alert: 'DomaindLogLinesDropped',
    series: { 'domaind_log_lines_dropped_total{instance="a"}': '0x10 5x10' },
    at: 12,
    labels: { instance: 'a' },
    sound: { 'domaind_log_lines_dropped_total{instance="a"}': '5x20' },
  },
  {
    alert: 'DomaindWorkersRestarting',
    series: { 'domaind_worker_restarts_total{instance="a",worker="1"}': '0+1x15' },
    at: 15,
    labels: { instance: 'a' },
    sound: { 'domaind_worker_restarts_total{instance="a",worker="1"}': '0x10 1x10' },
  },
];

describe('the alerts', () => {
  it('speak only of metrics that the daemon has', async () => {
    const known = await names();
    const named = namedIn(rules.map(({ expr }) => expr));
    assert.ok(named.length > 10);
    assert.deepEqual(
      named.filter((name) => !known.has(name)),
      [],
    );
  });

  it('say how urgent they are, what is the matter and what to do, with commands that exist', () => {
    for (const { alert, labels, annotations } of rules) {
      assert.match(alert, /^Domaind[A-Z]/);
      assert.match(labels.severity, /^(?:critical|warning)$/);
      assert.ok(annotations.summary.length > 10 && annotations.description.length > 10, alert);
    }
    const named = rules.flatMap(({ annotations }) =>
      [...annotations.description.matchAll(/`domaind ([a-z]+)/g)].map(([, name = '']) => name),
    );
    assert.ok(named.length > 0);
    assert.ok(named.every((name) => commands.has(name)));
  });

  it('are tried here, each of them', () => {
    assert.deepEqual(
      cases.map(({ alert }) => alert),
      rules.map(({ alert }) => alert),
    );
  });
});

describe('the alerts, as Prometheus reads them', {
  skip: promtool() === null && !process.env['CI'] ? toolsAdvice : false,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'domaind-alerts-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  const ran = (...args: readonly string[]) => {
    const { status, stdout, stderr, error } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
    assert.equal(error, undefined, toolsAdvice);
    return { status, said: `${stdout}${stderr}` };
  };

  it('are sound, and so is the configuration that loads them', () => {
    copyFileSync(join(root, alertsFile), join(folder, 'domaind-alerts.yaml'));
    const config = read('examples/observability/prometheus.yaml').replace('/etc/prometheus/', `${folder}/`);
    writeFileSync(join(folder, 'prometheus.yaml'), config);
    const { status, said } = ran('check', 'config', 'prometheus.yaml');
    assert.equal(status, 0, said);
    assert.match(said, new RegExp(`${rules.length} rules found`));
  });

  it('fire when something is wrong and stay away when nothing is', () => {
    const ownLabels = ({ alert, labels }: Case) => ({
      exp_labels: { ...labels, severity: rules.find((rule) => rule.alert === alert)?.labels.severity },
    });
    const tests = cases.flatMap((each) => {
      const lookedAt = (series: Case['series'], expected: readonly object[]) => ({
        interval: '1m',
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [
          {
            expr: `count by (alertname) (ALERTS{alertname="${each.alert}",alertstate="firing"})`,
            eval_time: `${each.at}m`,
            exp_samples: expected.map(() => ({ labels: `{alertname="${each.alert}"}`, value: 1 })),
          },
          {
            expr: `ALERTS{alertname="${each.alert}",alertstate="firing"}`,
            eval_time: `${each.at}m`,
            exp_samples: expected.map(() => ({ labels: seriesOf(each, ownLabels(each).exp_labels), value: 1 })),
          },
        ],
      });
      return [lookedAt(each.series, [{}]), lookedAt(each.sound, [])];
    });
    const file = { rule_files: ['domaind-alerts.yaml'], evaluation_interval: '1m', tests };
    copyFileSync(join(root, alertsFile), join(folder, 'domaind-alerts.yaml'));
    writeFileSync(join(folder, 'tests.yaml'), JSON.stringify(file));
    const { status, said } = ran('test', 'rules', 'tests.yaml');
    assert.equal(status, 0, said);
  });

  const seriesOf = ({ alert }: Case, labels: { readonly [label: string]: string | undefined }): string => {
    const all = Object.entries({ alertname: alert, alertstate: 'firing', ...labels });
    return `ALERTS{${all.map(([name, value]) => `${name}="${value}"`).join(',')}}`;
  };
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

describe('the dashboard', () => {
  const dashboard: { readonly uid: string; readonly panels: readonly Panel[]; readonly templating: unknown } =
    JSON.parse(read('helm/domaind/files/dashboard.json'));
  const expressions = dashboard.panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr));

  it('asks only for metrics that the daemon has', async () => {
    const known = await names();
    const named = new Set(namedIn([...expressions, JSON.stringify(dashboard.templating)]));
    assert.deepEqual(
      [...named].filter((name) => !known.has(name)),
      [],
    );
  });

  it('lays its panels side by side, each under a number of its own', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.equal(taken.get(`${x},${y}`), undefined, `${title} lies on another`);
          taken.set(`${x},${y}`, title);
        }
    }
  });
});
