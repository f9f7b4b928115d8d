import type { Config } from '../config/config.ts';
import { checkBrokers } from '../doctor/check-brokers.ts';
import { checkDatabases } from '../doctor/check-databases.ts';
import { checkFlow } from '../doctor/check-flow.ts';
import type { BrokerFacts, DatabaseFacts, WantedGroup } from '../doctor/facts.ts';
import type { Finding } from '../doctor/finding.ts';
import { inOrder } from '../doctor/finding.ts';
import { postgresqlFacts } from '../doctor/postgresql-facts.ts';
import type { AskedStream } from '../doctor/redis-facts.ts';
import { redisFacts } from '../doctor/redis-facts.ts';
import { originOf } from '../message/stream-name.ts';
import type { Clock, Random } from '../runtime/clock.ts';
import type { PlanRow } from '../worker/plan.ts';
import { targetsOf } from '../worker/relays.ts';

export interface DiagnoseDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether to try NOTIFY: takes seconds where it is not heard. */
  readonly tryNotify: boolean;
}

export interface Diagnosis {
  readonly findings: readonly Finding[];
  readonly databases: readonly DatabaseFacts[];
  readonly brokers: readonly BrokerFacts[];
}

/** A consumer reads at least so often, whatever its block time: its last breath but one. */
const patienceMs = 5_000;

/** Looks at every server of domain.toml, and says what is wrong, the cause first. What is in memory is not looked at. */
export async function diagnose(config: Config, plan: readonly PlanRow[], deps: DiagnoseDeps): Promise<Diagnosis> {
  const [databases, brokers] = await Promise.all([databasesOf(config, deps), brokersOf(config, plan, deps)]);
  const findings = [
    ...checkDatabases(databases),
    ...checkBrokers(brokers),
    ...checkFlow(databases, brokers, config.domain.normalized),
  ];
  return { findings: inOrder(findings), databases, brokers };
}

function databasesOf({ databases, outbox, domain }: Config, deps: DiagnoseDeps): Promise<readonly DatabaseFacts[]> {
  const { normalized, camel } = domain;
  const wanted = { normalized, camel, externalBrokers: outbox?.externalBrokers ?? [] };
  const targets = outbox === null ? [] : targetsOf(outbox);
  return Promise.all(
    [...databases.values()].flatMap((each) =>
      each.provider === 'postgresql'
        ? [
            postgresqlFacts(
              each,
              { wanted, outbox, targets, hint: outbox?.hint === true, tryNotify: deps.tryNotify },
              deps,
            ),
          ]
        : [],
    ),
  );
}

function brokersOf(config: Config, plan: readonly PlanRow[], deps: DiagnoseDeps): Promise<readonly BrokerFacts[]> {
  const { brokers, outbox, domain } = config;
  const foreign = new Set(outbox?.externalBrokers.filter((name) => name !== outbox.broker && name !== 'default'));
  return Promise.all(
    [...brokers.values()].flatMap((each) =>
      each.provider === 'inline'
        ? []
        : [
            redisFacts(
              each,
              { streams: streamsOf(plan, each.name), foreign: foreign.has(each.name), domain: domain.normalized },
              deps,
            ),
          ],
    ),
  );
}

/** The streams that handlers read from this broker, with who reads each. */
function streamsOf(plan: readonly PlanRow[], broker: string): readonly AskedStream[] {
  const found = new Map<string, { readonly wanted: WantedGroup[]; retention: number | null }>();
  for (const { handler, streams, settings } of plan) {
    if (handler.broker !== broker || settings.type !== 'stream') continue;
    const { blockMs, tickMs, heartbeatEveryMs, retentionMaxlen } = settings;
    const aliveMs = Math.max(blockMs + tickMs, heartbeatEveryMs) + patienceMs;
    for (const stream of streams.filter((each) => originOf(each) === each)) {
      const at = found.get(stream) ?? { wanted: [], retention: null };
      at.wanted.push({ handler: handler.name, group: handler.group, aliveMs });
      if (retentionMaxlen !== null) at.retention = Math.max(at.retention ?? 0, retentionMaxlen);
      found.set(stream, at);
    }
  }
  return [...found].map(([stream, { wanted, retention }]) => ({ stream, wanted, retention }));
}
