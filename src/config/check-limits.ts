import { aboutKey, type Finding } from './finding.ts';
import type { Reader } from './reader.ts';
import { nodeAt } from './schema.ts';
import { type Path, showKey } from './tree.ts';

/** A stated value and another one that it must not fall short of. */
interface Limit {
  readonly path: Path;
  readonly against: Path;
  /** How many times `against`. */
  readonly times: number;
  readonly why: string;
}

const backoffs = [
  ['outbox', 'retry', 'base_delay_seconds', 'max_backoff_seconds'],
  ['server', 'version_retry', 'base_delay_seconds', 'max_delay_seconds'],
  ['server', 'transient_retry', 'base_delay_seconds', 'max_delay_seconds'],
] as const;

const limits: readonly Limit[] = [
  {
    path: ['outbox', 'max_tick_interval'],
    against: ['outbox', 'tick_interval'],
    times: 1,
    why: 'an idle relay slows down from the one to the other',
  },
  {
    path: ['outbox', 'max_batch_bytes'],
    against: ['outbox', 'max_message_bytes'],
    times: 1,
    why: 'a batch must have room for one message',
  },
  ...backoffs.map(([section, table, base, most]) => ({
    path: [section, table, most],
    against: [section, table, base],
    times: 1,
    why: 'the first wait is the shortest',
  })),
];

/** Pairs of settings that cannot both be. Only what the file states can conflict: defaults give way to it. */
export function checkLimits(reader: Reader): readonly Finding[] {
  const { millis, number, stated, text } = reader;
  const findings: Finding[] = [];
  const size = (path: Path) =>
    ['milliseconds', 'seconds', 'hours'].includes(nodeAt(path)?.['x-unit'] ?? '') ? millis(path) : number(path);

  function mustReach({ path, against, times, why }: Limit): void {
    const value = stated(path) === undefined ? null : size(path);
    const other = size(against);
    if (value === null || other === null || value >= other * times) return;
    const factor = times === 1 ? '' : `${times} times `;
    const sentence = `${number(path)} must not be below ${factor}${showKey(against)}, which is ${number(against)}: ${why}`;
    findings.push(aboutKey('conflict', path, sentence));
  }

  for (const limit of limits) mustReach(limit);

  const broker = ['brokers', text(['outbox', 'broker']) ?? 'default'];
  const socketTimeout = [...broker, 'socket_timeout'];
  const provider = text([...broker, 'provider']);
  if (provider !== null && provider !== 'inline') {
    mustReach({
      path: ['outbox', 'lease_ttl_seconds'],
      against: socketTimeout,
      times: 1.5,
      why: 'a relay that waits for the broker must not outlive its lease',
    });
    if ((number(['outbox', 'publish_wait_replicas']) ?? 0) > 0) {
      mustReach({
        path: socketTimeout,
        against: ['outbox', 'publish_wait_timeout_ms'],
        times: 1.5,
        why: 'the wait for replicas is a part of the answer',
      });
    }
  }
  const heartbeat = ['server', 'partitioning', 'heartbeat_interval_seconds'];
  if (stated(heartbeat) !== undefined) {
    const beat = millis(heartbeat) ?? 0;
    const ttl = ['server', 'partitioning', 'lease_ttl_ms'];
    const most = millis(ttl) ?? 0;
    const sentence = `${number(heartbeat)} must be at most a third of ${showKey(ttl)}, which is ${number(ttl)}: an owner that misses two beats must still be known to live`;
    if (beat * 3 > most) findings.push(aboutKey('conflict', heartbeat, sentence));
  }
  return findings;
}
