// Writes docs/metrics.md from the metrics themselves: node --import tsx scripts/metrics-reference.ts
import { realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { workerRestarts } from '../src/cli/workers-metrics.ts';
import { systemClock } from '../src/runtime/clock.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import type { DescribedMetric } from '../src/telemetry/tally.ts';

const page = fileURLToPath(new URL('../docs/metrics.md', import.meta.url));

const introduction = `# Metrics

\`GET /metrics\` of \`[server.health]\` (port 8080 unless told) gives these in the text format of Prometheus. What is counted is
counted in memory; the state of outboxes, groups and dead letters is looked up at a scrape, at most once in five seconds
however often is scraped, and left out where a server does not answer within a second: a scrape never waits for longer, and
never gives out numbers older than a minute.

With \`--workers N\` the processes are asked at one address. Counts and histograms are added up and never fall when a
process ends; what all see alike, as the lag of a group, is looked up by one of them.

Labels are names of domain.toml, of handlers, and of categories; never ids. Each label has a bound (500 handlers, 100 streams
of a handler, 32 reasons); what comes beyond shares the value \`other\`, and gauges beyond a thousand names are left out.

Alerts on these stand in \`helm/domaind/files/alerts.yaml\`, a dashboard for Grafana in \`helm/domaind/files/dashboard.json\`;
[operations.md](operations.md) says what to do about each alert.`;

/** The page as it must be. */
export function metricsReference(): string {
  const collect = async () => ({ outboxes: [], subscriptions: [], deadLetters: [] });
  const { described, ofNode } = createMetrics(
    { version: '', laneSuffix: null },
    { clock: systemClock, collect, onCollectError: () => undefined },
  );
  const all: readonly DescribedMetric[] = [...described, { ...workerRestarts, type: 'counter' }];
  const rows = [...all]
    .sort((one, other) => one.name.localeCompare(other.name))
    .map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((each) => `\`${each}\``).join(', ')} | ${help} |`,
    );
  const own = ofNode.map(({ name, help }) => `| \`${name}\` | ${help} |`);
  return [
    introduction,
    ['## domaind', '', '| metric | type | labels | |', '|---|---|---|---|', ...rows].join('\n'),
    ['## Node and its process', '', '| metric | |', '|---|---|', ...own].join('\n'),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(page, metricsReference());
}
