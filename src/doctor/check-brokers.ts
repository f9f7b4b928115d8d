import type { BrokerFacts, RedisServerFacts, Unreached } from './facts.ts';
import { isUnreached } from './facts.ts';
import type { Finding, FindingCode, Severity } from './finding.ts';

/** A machine's clock may be so far from ours. */
const mostSkewMs = 1_000;

/** Of the memory that Redis may use; of its machine's where no limit is set. */
const mostMemory = 0.8;

/** What endangers messages on the servers of brokers. Pure. */
export const checkBrokers = (brokers: readonly BrokerFacts[]): readonly Finding[] => brokers.flatMap(checkBroker);

function checkBroker({ name, server, foreign }: BrokerFacts): readonly Finding[] {
  const subject = `broker "${name}"`;
  const found: Finding[] = [];
  const add = (code: FindingCode, severity: Severity, what: string, evidence: string, mend: string) =>
    void found.push({ code, severity, subject, what, evidence, mend });
  if (isUnreached(server)) {
    // With a full disk Redis answers nothing but this, PING included.
    if (server.message.includes('MISCONF')) addDisk(server.message, add);
    return found.length > 0 ? found : [unreached(name, server, foreign)];
  }
  checkWrites(server, add);
  checkSafety(server, add);
  const { skewMs, skewErrorMs, encrypted, local, forbidden } = server;
  if (forbidden.length > 0) {
    const grants = forbidden.map((command) => `+${command.toLowerCase()}`).join(' ');
    add(
      'broker_privileges',
      'error',
      'does not let our user run commands that are needed',
      `it answered NOPERM to ${forbidden.join(', ')}`,
      `redis-cli ACL SETUSER <user> ${grants}, for the user in [brokers.${name}] URI; then ACL SAVE`,
    );
  }
  if (Math.abs(skewMs) - skewErrorMs > mostSkewMs) add('clock_skew', 'warning', ...skewWords(skewMs, 'Redis'));
  if (!encrypted && !local) {
    add(
      'not_encrypted',
      'note',
      'is reached without TLS',
      'the URI is redis:// and its host is not this machine',
      `use rediss:// in [brokers.${name}] URI where the network between is not your own`,
    );
  }
  return found;
}

type Add = (code: FindingCode, severity: Severity, what: string, evidence: string, mend: string) => void;

const addDisk = (evidence: string, add: Add): void =>
  add(
    'broker_disk',
    'error',
    'refuses writes because it cannot write to its disk',
    evidence.slice(0, 200),
    'free space in the folder that `redis-cli CONFIG GET dir` names, or let Redis write there; then `redis-cli BGSAVE`',
  );

function checkWrites({ refusal, role, lastSnapshotFailed, lastAppendFailed }: RedisServerFacts, add: Add): void {
  if (refusal?.includes('MISCONF') || lastAppendFailed) {
    const seen = lastAppendFailed ? 'INFO: aof_last_write_status:err' : `a write was answered: ${refusal}`;
    addDisk(seen, add);
  } else if (refusal?.startsWith('OOM')) {
    add(
      'broker_memory_full',
      'error',
      'refuses writes because its memory is full',
      `a write was answered: ${refusal}`,
      'raise maxmemory (`redis-cli CONFIG SET maxmemory …`), or lower retention_maxlen; `domaind dlq purge` frees dead letters',
    );
  } else if (refusal?.startsWith('READONLY') || role === 'slave') {
    add(
      'broker_replica',
      'error',
      'is a replica, which takes no writes',
      `INFO: role:${role}`,
      'let the URI name the primary; `redis-cli INFO replication` shows its master_host',
    );
  } else if (refusal !== null) {
    add(
      'broker_refuses',
      'error',
      'refuses writes',
      `a write was answered: ${refusal}`,
      'see the answer; `redis-cli INFO` shows the state of the server',
    );
  }
  if (lastSnapshotFailed && refusal === null && !lastAppendFailed) {
    add(
      'broker_disk',
      'warning',
      'could not write its last snapshot',
      'INFO: rdb_last_bgsave_status:err',
      'look at the log of Redis; free space in the folder that `redis-cli CONFIG GET dir` names',
    );
  }
}

function checkSafety(server: RedisServerFacts, add: Add): void {
  const { evictionPolicy, appendOnly, replicas, role, usedBytes, maxBytes, systemBytes } = server;
  if (evictionPolicy !== null && evictionPolicy !== 'noeviction') {
    add(
      'eviction',
      'error',
      'deletes keys when its memory is short, messages and groups among them',
      `INFO: maxmemory_policy:${evictionPolicy}`,
      'redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf',
    );
  }
  if (appendOnly === false && role === 'master' && replicas === 0) {
    add(
      'not_persistent',
      'warning',
      'forgets what was published since its last snapshot when it restarts',
      'INFO: aof_enabled:0, connected_slaves:0',
      'redis-cli CONFIG SET appendonly yes, and the same in redis.conf',
    );
  }
  const limit = maxBytes ?? systemBytes;
  if (usedBytes !== null && limit !== null && limit > 0 && usedBytes / limit > mostMemory) {
    const share = Math.round((usedBytes / limit) * 100);
    add(
      'memory_short',
      'warning',
      `uses ${share} % of the memory it may have`,
      `INFO: used_memory:${usedBytes}, ${maxBytes === null ? 'total_system_memory' : 'maxmemory'}:${limit}`,
      'raise maxmemory, or lower retention_maxlen; `domaind status` shows which streams are long',
    );
  }
}

function unreached(name: string, { code, message, away }: Unreached, foreign: boolean): Finding {
  const subject = `broker "${name}"`;
  const place = `[brokers.${name}] URI`;
  if (code === 'redis_tls') {
    const mend = `mend ${place}, tls_ca_file or the server's certificate`;
    return {
      code: 'broker_tls',
      severity: 'error',
      subject,
      what: 'cannot be trusted by TLS',
      evidence: message,
      mend,
    };
  }
  if (!away) {
    const mend = `mend the user, the password or the database number in ${place}`;
    return { code: 'broker_login', severity: 'error', subject, what: 'turns us away', evidence: message, mend };
  }
  const rest = foreign ? ' (only its own rows wait for it)' : '';
  const mend = `start Redis, or mend ${place}; \`redis-cli -u <URI> PING\` must answer PONG${rest}`;
  const severity = foreign ? 'warning' : 'error';
  return { code: 'broker_unreachable', severity, subject, what: 'cannot be reached', evidence: message, mend };
}

/** What, evidence and mend of two clocks that differ. */
export function skewWords(skewMs: number, who: string): [what: string, evidence: string, mend: string] {
  const seconds = (Math.abs(skewMs) / 1_000).toFixed(1);
  return [
    `has a clock that is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`,
    `${who} was asked for its time and answered within a round trip`,
    'run NTP on both machines (`timedatectl` shows whether it does): ages, retries and lags are off by that much',
  ];
}
