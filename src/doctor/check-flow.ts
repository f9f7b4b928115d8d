import type { BrokerFacts, DatabaseFacts, GroupFacts, OutboxFacts, StreamFacts, WantedGroup } from './facts.ts';
import { isUnreached } from './facts.ts';
import type { Finding, Severity } from './finding.ts';

/** A row that waits for longer has been waiting for somebody. */
const longWaitMs = 10_000;

/** A stream beyond its wish by so much is not being trimmed. */
const overgrown = 1.5;

/** Where no wish is stated, a stream of so many entries is long. */
const longStream = 100_000;

/** What stands still between the outbox and the handlers. Pure. */
export function checkFlow(databases: readonly DatabaseFacts[], brokers: readonly BrokerFacts[], domain: string) {
  const outboxes = databases.flatMap(({ name, state }) =>
    isUnreached(state) ? [] : state.outboxes.flatMap((outbox) => checkOutbox(name, outbox)),
  );
  const reached = brokers.filter(({ server }) => !isUnreached(server));
  return [...outboxes, ...reached.flatMap(({ streams }) => streams.flatMap((each) => checkStream(each, domain)))];
}

function checkOutbox(database: string, outbox: OutboxFacts): readonly Finding[] {
  const { broker, pending, failed, abandoned, oldestPendingMs, owners, lastError } = outbox;
  const subject = `outbox of "${database}"`;
  const found: Finding[] = [];
  const waits = (oldestPendingMs ?? 0) > longWaitMs;
  const evidence = `${count(pending, 'row')} pending for broker "${broker}", the oldest for ${seconds(oldestPendingMs)}`;
  if (pending > 0 && owners.length === 0) {
    found.push({
      code: 'relay_stopped',
      severity: 'error',
      subject,
      what: 'has no relay: rows wait and nobody publishes them',
      evidence: `${evidence}; no lease of a shard is held`,
      mend: 'start `domaind server` (or `domaind server --only relay`)',
    });
  } else if (waits && pending > 0 && failed === 0) {
    found.push({
      code: 'rows_wait',
      severity: 'warning',
      subject,
      what: `waits although ${owners.join(', ')} holds it`,
      evidence,
      mend: 'read the log of that daemon; more relays: `domaind db shards N`',
    });
  }
  const said = lastError === null ? '' : `; last: ${lastError}`;
  if (abandoned > 0) {
    found.push({
      code: 'rows_abandoned',
      severity: 'error',
      subject,
      what: 'has rows that were given up',
      evidence: `${count(abandoned, 'row')} abandoned${said}`,
      mend: '`domaind outbox list --status abandoned` shows why; mend it, then `domaind outbox retry --all`',
    });
  }
  if (failed > 0) {
    found.push({
      code: 'rows_failed',
      severity: 'warning',
      subject,
      what: 'has rows that the broker refused, which hold back their streams',
      evidence: `${count(failed, 'row')} failed${said}`,
      mend: '`domaind outbox list --status failed` shows why; they are tried again by themselves',
    });
  }
  return found;
}

function checkStream(facts: StreamFacts, domain: string): readonly Finding[] {
  const { stream, length, retention, groups, wanted, deadLetters, lastCause } = facts;
  const found: Finding[] = wanted.flatMap((each) => checkGroup(facts, each));
  if (deadLetters > 0) {
    found.push({
      code: 'dead_letters',
      severity: 'error',
      subject: stream,
      what: 'has messages that handlers gave up',
      evidence: `${count(deadLetters, 'dead letter')}${lastCause === null ? '' : `; newest: ${lastCause}`}`,
      mend: '`domaind dlq list --by error` shows the causes; mend the handler, then `domaind dlq replay --all`',
    });
  }
  const most = retention === null ? longStream : retention * overgrown;
  if (length > most) {
    const slowest = [...groups].sort((a, b) => behind(b) - behind(a))[0];
    const holds =
      slowest !== undefined && behind(slowest) > length / 2
        ? `group ${slowest.group} has not taken ${behind(slowest)} of them`
        : 'no handler trims it: retention_maxlen is not set for it';
    found.push({
      code: 'stream_grows',
      severity: 'warning',
      subject: stream,
      what: 'only grows',
      evidence: `${length} entries${retention === null ? '' : `, wished for ${retention}`}; ${holds}`,
      mend: `run the handlers of that group, or remove it if it is of nobody: redis-cli XGROUP DESTROY ${stream} ${slowest?.group ?? '<group>'}`,
    });
  }
  for (const group of groups) {
    if (wanted.some((each) => each.group === group.group) || !group.group.startsWith(`${domain}.`)) continue;
    found.push({
      code: 'group_without_handler',
      severity: 'warning',
      subject: stream,
      what: `has the group ${group.group}, which no handler of this domain is`,
      evidence: `${count(behind(group), 'entry', 'entries')} not taken by it, which trimming keeps for it`,
      mend: `if the handler is gone for good: redis-cli XGROUP DESTROY ${stream} ${group.group}`,
    });
  }
  return found;
}

function checkGroup({ stream, length, groups }: StreamFacts, wanted: WantedGroup): readonly Finding[] {
  const { handler, group: name, aliveMs } = wanted;
  const subject = `${handler} on ${stream}`;
  const group = groups.find((each) => each.group === name);
  if (group === undefined) {
    if (length === 0) return [];
    const what = `has no group ${name}: it was deleted, or the handler has never run`;
    const evidence = `XINFO GROUPS ${stream}: ${groups.map((each) => each.group).join(', ') || 'none'}; ${count(length, 'entry', 'entries')} on the stream`;
    const mend = '`domaind server` makes it anew from the first entry: handlers skip what their inbox knows';
    return [{ code: 'group_missing', severity: 'error', subject, what, evidence, mend }];
  }
  const alive = group.consumers.filter(({ idleMs }) => idleMs <= aliveMs);
  const dead = group.consumers.filter(({ idleMs, pending }) => idleMs > aliveMs && pending > 0);
  return [
    ...stranded(subject, dead, alive.length),
    ...unread(subject, group, alive.length),
    ...retried(subject, group),
  ];
}

function stranded(subject: string, dead: GroupFacts['consumers'], alive: number): readonly Finding[] {
  const [first] = dead;
  if (first === undefined) return [];
  const held = dead.reduce((sum, { pending }) => sum + pending, 0);
  return [
    {
      code: 'entries_stranded',
      severity: alive > 0 ? 'warning' : 'error',
      subject,
      what: `has entries in the hand of a consumer that is dead: ${first.name}`,
      evidence: `${count(held, 'entry', 'entries')} pending, last seen ${seconds(first.idleMs)} ago; ${count(alive, 'living consumer')}`,
      mend:
        alive > 0
          ? 'nothing: the others take them over once min_idle_ms is past; if this stays, read their logs'
          : 'start `domaind server`: it takes them over',
    },
  ];
}

function unread(subject: string, group: GroupFacts, alive: number): readonly Finding[] {
  const lag = group.lag ?? 0;
  if (alive > 0 || lag === 0) return [];
  const seen = group.consumers.map(({ name, idleMs }) => `${name} idle for ${seconds(idleMs)}`).join(', ') || 'none';
  return [
    {
      code: 'no_consumer',
      severity: 'error',
      subject,
      what: 'has no living consumer: nobody reads',
      evidence: `${count(lag, 'entry', 'entries')} unread; consumers: ${seen}`,
      mend: 'start `domaind server`',
    },
  ];
}

function retried(subject: string, { worst }: GroupFacts): readonly Finding[] {
  if (worst === null || (worst.failures === 0 && worst.crashes === 0)) return [];
  const { id, failures, crashes, lastError } = worst;
  const severity: Severity = crashes > 0 ? 'error' : 'warning';
  const told = crashes > 0 ? `took the process down ${crashes} times` : `failed ${count(failures, 'time')}`;
  return [
    {
      code: crashes > 0 ? 'poison' : 'entry_retried',
      severity,
      subject,
      what: `has an entry that ${told}: ${id}`,
      evidence: `${told}${lastError === null ? '' : `; last: ${lastError}`}`,
      mend: `\`domaind explain ${id}\` shows its attempts; mend the handler, or wait until it is a dead letter`,
    },
  ];
}

const behind = ({ lag, pending }: GroupFacts): number => (lag ?? 0) + pending;
const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`;
const seconds = (ms: number | null): string => `${Math.round((ms ?? 0) / 1_000)} s`;
