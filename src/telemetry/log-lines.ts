import type { EventName, EventOf, TelemetryEvent } from './event.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** How a fact becomes a log line. */
export interface LogLine<Fact> {
  /** debug: each message. info: a change of state. warn: a retry or a rest. error: given up, or a bug. Null: never logged. */
  readonly level: Level | null;
  /** The fields that the line has, in their order. */
  readonly keys: readonly (keyof Fact & string)[];
  /** Repeats with these fields alike, and the same error, are said once a window; null: each is said. */
  readonly fold: readonly (keyof Fact & string)[] | null;
}

type LogLines = { readonly [Name in EventName]: LogLine<EventOf<Name>> };

const line = <Fact>(
  level: Level | null,
  keys: readonly (keyof Fact & string)[],
  fold: readonly (keyof Fact & string)[] | null = null,
): LogLine<Fact> => ({ level, keys, fold });

const delivery = [
  'subscription',
  'message_type',
  'message_id',
  'attempt',
  'stream',
  'group',
  'entry_id',
  'correlation_id',
] as const;
const failedDelivery = [...delivery, 'duration_ms', 'err'] as const;
const row = ['database', 'broker', 'stream', 'message_id'] as const;
const subscription = ['subscription', 'stream', 'group'] as const;

/** Every fact, and its line. A new one does not compile until it has its place here. */
export const logLines: LogLines = {
  'daemon.started': line('info', ['domain', 'version', 'pid']),
  'daemon.ready': line('info', ['duration_ms']),
  'daemon.draining': line('info', ['reason', 'grace_ms']),
  'daemon.drain_expired': line('warn', ['reason']),
  'daemon.stopped': line('info', ['duration_ms']),
  'config.key_without_effect': line('warn', ['keys']),
  'config.warned': line('warn', ['warning']),
  'service.failed': line('error', ['service', 'err']),
  'process.faulted': line('error', [
    'what',
    'subscription',
    'message_type',
    'message_id',
    'attempt',
    'certain',
    'suspects',
    'err',
  ]),
  'loop.stalled': line('error', [
    'stalled_ms',
    'subscription',
    'message_type',
    'message_id',
    'suspects',
    'where',
    'exiting',
  ]),
  'loop.wedged': line('error', ['service', 'loop', 'times']),
  'worker.started': line('info', ['worker', 'pid']),
  'worker.ended': line('warn', ['worker', 'pid', 'code', 'signal', 'retry_in_ms']),
  'worker.stuck': line('error', ['worker', 'pid', 'state']),
  'loop.failed': line('warn', ['loop', 'failures', 'retry_in_ms', 'err'], ['loop']),
  'loop.recovered': line('info', ['loop', 'failures']),
  'loop.stepped': line(null, []),
  'loop.started': line(null, []),
  'loop.ended': line(null, []),
  'connection.lost': line('warn', ['connection', 'err'], ['connection']),
  'connection.restored': line('info', ['connection']),
  'lease.acquired': line('info', ['lease', 'owner']),
  'lease.lost': line('warn', ['lease', 'owner']),
  'lease.released': line('info', ['lease', 'owner']),
  'lease.failed': line('warn', ['lease', 'err'], ['lease']),
  'hint.ready': line('info', ['database']),
  'hint.lost': line('warn', ['database', 'err'], ['database']),
  'outbox.batch_published': line('debug', ['database', 'broker', 'count', 'duration_ms']),
  'outbox.row_published': line('debug', [...row, 'lag_ms']),
  'outbox.row_refused': line('warn', [...row, 'attempt', 'retry_in_ms', 'reason'], ['database', 'broker', 'reason']),
  'outbox.row_abandoned': line('error', [...row, 'attempt', 'reason'], ['database', 'broker', 'reason']),
  'outbox.resharded': line('info', ['database', 'broker', 'shards']),
  'outbox.rows_purged': line('info', ['database', 'count']),
  'subscription.started': line('info', subscription),
  'subscription.stopped': line('info', subscription),
  'subscription.standing_by': line('info', subscription),
  'gap.waiting': line(
    'warn',
    ['subscription', 'stream', 'position', 'pid', 'application', 'user', 'age_ms', 'waited_ms'],
    ['subscription'],
  ),
  'gap.closed': line('info', ['subscription', 'stream', 'waited_ms']),
  'gap.abandoned': line('error', ['subscription', 'stream', 'positions']),
  'deliveries.read': line('debug', ['subscription', 'count']),
  'delivery.started': line(null, []),
  'delivery.ended': line(null, []),
  'delivery.handled': line('debug', [...delivery, 'outcome', 'duration_ms', 'lag_ms']),
  'delivery.retried': line('warn', [...delivery, 'retry_in_ms', 'duration_ms', 'err'], ['subscription']),
  'delivery.postponed': line('warn', [...delivery, 'retry_in_ms', 'duration_ms', 'err'], ['subscription']),
  'delivery.dead_lettered': line('error', failedDelivery, ['subscription']),
  'delivery.discarded': line('error', failedDelivery, ['subscription']),
  'delivery.halted': line('error', failedDelivery, ['subscription']),
  'delivery.disowned': line('warn', delivery, ['subscription']),
  'delivery.given_back': line('debug', delivery),
  'delivery.suspected': line('warn', delivery, ['subscription']),
  'handler.slow': line('warn', ['subscription', 'message_type', 'message_id', 'duration_ms'], ['subscription']),
  'handler.lingering': line('warn', ['subscription', 'message_type', 'message_id', 'lingering'], ['subscription']),
  'deliveries.reclaimed': line('info', ['subscription', 'count']),
  'entries.lost': line('error', ['subscription', 'stream', 'entry_ids']),
  'dead_letters.expired': line('info', ['broker', 'stream', 'count']),
  'dead_letters.above_threshold': line('error', ['broker', 'stream', 'count', 'threshold']),
  'dead_letters.below_threshold': line('info', ['broker', 'stream', 'count', 'threshold']),
  'partitions.changed': line('info', [...subscription, 'owned', 'blocked', 'acquired', 'released', 'lost', 'reaped']),
  'partition.failed': line('warn', ['subscription', 'stream', 'err'], ['subscription']),
  'group.recreated': line('warn', ['stream', 'group']),
  'breaker.opened': line('warn', ['subscription']),
  'breaker.half_opened': line('info', ['subscription']),
  'breaker.closed': line('info', ['subscription']),
  'http.listening': line('info', ['server', 'host', 'port']),
  'ingress.accepted': line('debug', ['kind', 'stream', 'message_id']),
  'ingress.refused': line('debug', ['status', 'reason']),
  'http.failed': line('error', ['server', 'err'], ['server']),
  /** Said by the log itself, once lines go out again. */
  'log.lines_dropped': line(null, ['count']),
};

/** The line of a fact, with its keys as plain strings: the table has seen to it that they are the fact's. */
export const logLineOf = (
  fact: TelemetryEvent,
): { readonly level: Level | null; readonly keys: readonly string[]; readonly fold: readonly string[] | null } =>
  logLines[fact.event];
