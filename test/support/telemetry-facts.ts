import type { EventName, EventOf, TelemetryEvent } from '../../src/telemetry/event.ts';

const aboutDelivery = {
  subscription: 'OrderSummary',
  stream: 'bookshelf::order',
  group: 'bookshelf.OrderSummary',
  entry_id: '1700000000000-0',
  message_id: 'bookshelf::order-42-0.1',
  message_type: 'Bookshelf.OrderPlaced.v1',
  correlation_id: 'c-1',
  attempt: 2,
};
const row = { database: 'default', broker: 'default', stream: 'bookshelf::order', message_id: 'm-1' };
const err = new TypeError('card declined');
const failed = { ...aboutDelivery, duration_ms: 12.3456, err };
const about = { subscription: 'OrderSummary', stream: 'bookshelf::order', group: 'bookshelf.OrderSummary' };
const lease = { lease: 'outbox:default:0', owner: 'host-1' };

/** One of each fact, with every field set. A new fact does not compile until it has its example here. */
export const examples: { readonly [Name in EventName]: EventOf<Name> } = {
  'daemon.started': { event: 'daemon.started', domain: 'bookshelf', version: '0.1.0', pid: 42 },
  'daemon.ready': { event: 'daemon.ready', duration_ms: 120 },
  'daemon.draining': { event: 'daemon.draining', reason: 'SIGTERM', grace_ms: 20_000 },
  'daemon.drain_expired': { event: 'daemon.drain_expired', reason: 'a handler runs' },
  'daemon.stopped': { event: 'daemon.stopped', duration_ms: 5 },
  'config.key_without_effect': { event: 'config.key_without_effect', keys: ['[caches.default] TTL'] },
  'config.warned': { event: 'config.warned', warning: 'no handler for OrderLost' },
  'service.failed': { event: 'service.failed', service: 'relay', err },
  'loop.failed': { event: 'loop.failed', loop: 'relay', failures: 3, retry_in_ms: 400, err },
  'loop.recovered': { event: 'loop.recovered', loop: 'relay', failures: 3 },
  'loop.stepped': { event: 'loop.stepped', loop: 'relay' },
  'loop.started': { event: 'loop.started', loop: 'relay', bound_ms: 30_000 },
  'loop.ended': { event: 'loop.ended', loop: 'relay' },
  'connection.lost': { event: 'connection.lost', connection: 'brokers.default', err },
  'connection.restored': { event: 'connection.restored', connection: 'brokers.default' },
  'lease.acquired': { event: 'lease.acquired', ...lease },
  'lease.lost': { event: 'lease.lost', ...lease },
  'lease.released': { event: 'lease.released', ...lease },
  'lease.failed': { event: 'lease.failed', lease: lease.lease, err },
  'hint.ready': { event: 'hint.ready', database: 'default' },
  'hint.lost': { event: 'hint.lost', database: 'default', err },
  'outbox.batch_published': {
    event: 'outbox.batch_published',
    database: 'default',
    broker: 'default',
    count: 50,
    duration_ms: 3,
  },
  'outbox.row_published': { event: 'outbox.row_published', ...row, lag_ms: 20 },
  'outbox.row_refused': { event: 'outbox.row_refused', ...row, attempt: 1, reason: 'too_large', retry_in_ms: 60_000 },
  'outbox.row_abandoned': { event: 'outbox.row_abandoned', ...row, attempt: 3, reason: 'too_large' },
  'outbox.resharded': { event: 'outbox.resharded', database: 'default', broker: 'default', shards: 4 },
  'outbox.rows_purged': { event: 'outbox.rows_purged', database: 'default', count: 5_000 },
  'subscription.started': { event: 'subscription.started', ...about },
  'subscription.stopped': { event: 'subscription.stopped', ...about },
  'deliveries.read': { event: 'deliveries.read', subscription: 'OrderSummary', count: 100 },
  'delivery.started': { event: 'delivery.started', subscription: 'OrderSummary' },
  'delivery.ended': { event: 'delivery.ended', subscription: 'OrderSummary' },
  'delivery.handled': { event: 'delivery.handled', ...aboutDelivery, outcome: 'ok', duration_ms: 2, lag_ms: 30 },
  'delivery.retried': { event: 'delivery.retried', ...failed, retry_in_ms: 3_000 },
  'delivery.postponed': { event: 'delivery.postponed', ...failed, retry_in_ms: 3_000 },
  'delivery.dead_lettered': { event: 'delivery.dead_lettered', ...failed },
  'delivery.discarded': { event: 'delivery.discarded', ...failed },
  'delivery.halted': { event: 'delivery.halted', ...failed },
  'delivery.disowned': { event: 'delivery.disowned', ...aboutDelivery },
  'delivery.given_back': { event: 'delivery.given_back', ...aboutDelivery },
  'delivery.suspected': { event: 'delivery.suspected', ...aboutDelivery },
  'handler.slow': {
    event: 'handler.slow',
    subscription: 'OrderSummary',
    message_id: 'm-1',
    message_type: 'Bookshelf.OrderPlaced.v1',
    duration_ms: 700,
  },
  'deliveries.reclaimed': { event: 'deliveries.reclaimed', subscription: 'OrderSummary', count: 3 },
  'entries.lost': {
    event: 'entries.lost',
    subscription: 'OrderSummary',
    stream: 'bookshelf::order',
    entry_ids: ['1-0', '2-0'],
  },
  'group.recreated': { event: 'group.recreated', stream: 'bookshelf::order', group: 'bookshelf.OrderSummary' },
  'breaker.opened': { event: 'breaker.opened', subscription: 'OrderSummary' },
  'breaker.half_opened': { event: 'breaker.half_opened', subscription: 'OrderSummary' },
  'breaker.closed': { event: 'breaker.closed', subscription: 'OrderSummary' },
  'http.listening': { event: 'http.listening', server: 'health', host: '127.0.0.1', port: 8_080 },
  'ingress.accepted': { event: 'ingress.accepted', kind: 'event', stream: 'bookshelf::order', message_id: 'm-1' },
  'ingress.refused': { event: 'ingress.refused', status: 401, reason: 'unauthorized' },
  'http.failed': { event: 'http.failed', server: 'ingress', err },
  'log.lines_dropped': { event: 'log.lines_dropped', count: 7 },
};

export const everyExample: readonly TelemetryEvent[] = Object.values(examples);
