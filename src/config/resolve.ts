import type { BackoffPolicy } from '../runtime/backoff.ts';
import type { Millis } from '../runtime/clock.ts';
import { ConfigError, type Fault } from '../runtime/errors.ts';
import type { RetryConfig, SubscriptionConfig } from './config.ts';
import { didYouMean } from './nearest.ts';
import { unknownProfile } from './profiles.ts';
import { nodeAt } from './schema.ts';
import { settingConflicts } from './setting-conflicts.ts';
import { type Asked, type Said, stack } from './stack.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';
import { showTable, tableOf } from './tree.ts';
import { toMillis } from './units.ts';
import { validate } from './validate.ts';

/**
 * How one handler is fed: the layers of the file and the handler's own options, resolved, with the `rules` of
 * `[server.retry]`. Throws ConfigError naming the handler for a profile that does not exist, an option that is none, a
 * value out of range, and settings that conflict.
 */
export function resolveSubscription(
  layers: SubscriptionLayers,
  asked: Asked,
  rules: RetryConfig['rules'] = new Map(),
): SubscriptionConfig {
  refuseOptions(layers, asked);
  const { type, profile, settings } = stack(layers, asked);
  const conflicts = settingConflicts(settings).map(({ field, sentence }) =>
    fault(asked, 'conflict', `${field}: ${sentence}`),
  );
  if (conflicts.length > 0) throw new ConfigError(conflicts);

  const said = (field: string): Said => {
    const found = settings.get(field);
    if (!found) throw new Error(`no setting ${field}`);
    return found;
  };
  const number = (field: string) => Number(said(field).value);
  const time = (field: string): Millis =>
    toMillis(number(field), nodeAt(['server', 'subscriptions', asked.name, field]));
  const unstated = (field: string) => said(field).origin === 'default';

  const minIdleMs = time('min_idle_ms');
  const heartbeatMs = time('heartbeat_interval_ms');
  const baseMs = time('retry_delay_seconds');
  const maxMs = time('max_backoff_seconds');
  const backoff: BackoffPolicy = {
    baseMs,
    factor: number('backoff_multiplier'),
    maxMs: unstated('max_backoff_seconds') ? Math.max(baseMs, maxMs) : maxMs,
    jitter: number('jitter_factor'),
  };
  const sequentialBy = String(said('sequential_by').value) || null;
  // To go on past a message breaks the order of its key: who wants that must say so.
  const inOrder = sequentialBy !== null && unstated('on_poison');
  return {
    type,
    sequentialBy,
    profile,
    batchSize: number('messages_per_tick'),
    tickMs: time('tick_interval'),
    blockMs: time('blocking_timeout_ms'),
    concurrency: number('concurrency'),
    handlerTimeoutMs: time('handler_timeout_seconds'),
    retry: {
      maxAttempts: number('max_retries'),
      maxCrashes: number('max_crashes'),
      backoff,
      onExhausted: inOrder ? 'halt' : onExhausted(said('on_poison'), said('enable_dlq')),
      rules,
    },
    breaker: { threshold: number('circuit_breaker_threshold'), resetAfterMs: time('circuit_breaker_reset_seconds') },
    minIdleMs,
    heartbeatEveryMs: unstated('heartbeat_interval_ms')
      ? Math.min(heartbeatMs, Math.floor(minIdleMs / 3))
      : heartbeatMs,
    reclaimEveryMs: time('reclaim_interval_ms'),
    positionUpdateInterval: number('position_update_interval'),
    recoverEveryMs: said('enable_recovery').value === true ? time('recovery_interval_seconds') : null,
    gapTimeoutMs: time('gap_timeout_seconds'),
    originStream: String(settings.get('origin_stream')?.value ?? '') || null,
    retentionMaxlen: number('retention_maxlen') === 0 ? null : number('retention_maxlen'),
    origins: new Map([
      ...[...settings].map(([field, { value, origin }]): Origin => [field, { value, origin }]),
      ...(inOrder ? [onPoisonInOrder] : []),
    ]),
  };
}

type Origin = readonly [field: string, { readonly value: string | number | boolean; readonly origin: string }];

const onPoisonInOrder: Origin = ['on_poison', { value: 'halt', origin: 'sequential_by' }];

function onExhausted(onPoison: Said, enableDlq: Said): RetryConfig['onExhausted'] {
  if (onPoison.value === 'halt') return 'halt';
  return enableDlq.value === true ? 'dead_letter' : 'discard';
}

const fault = ({ name }: Asked, code: string, message: string): Fault => ({ code, where: `handler ${name}`, message });

/** What the handler states itself is held against the same schema as the file. */
function refuseOptions(layers: SubscriptionLayers, asked: Asked): void {
  const faults: Fault[] = [];
  const profiles = [...layers.profiles.keys()];
  if (asked.profile !== null && !layers.profiles.has(asked.profile)) {
    faults.push(fault(asked, 'unknown_reference', `profile: ${unknownProfile(asked.profile, profiles)}`));
  }
  const options = Object.entries(asked.subscription ?? {});
  const path = ['server', 'subscriptions', asked.name];
  if (asked.subscription && Object.hasOwn(asked.subscription, 'profile')) {
    faults.push(
      fault(asked, 'unknown_key', 'subscription.profile: state the profile beside `subscription`, not in it'),
    );
  }
  const tree = tableOf([['server', tableOf([['subscriptions', tableOf([[asked.name, tableOf(options)]])]])]]);
  for (const finding of validate(tree)) {
    const [key = 'options'] = finding.path.slice(path.length);
    faults.push(fault(asked, finding.code, `subscription.${key}: ${finding.sentence}`));
  }
  if (faults.length > 0) throw new ConfigError(faults);
}

/**
 * The tables `[server.subscriptions.<name>]` that no handler answers to, as sentences, each with the nearest name.
 * `handlers`: the names of all handlers, aliases included.
 */
export function unmatchedSubscriptions(layers: SubscriptionLayers, handlers: readonly string[]): readonly string[] {
  const known = new Set(handlers);
  return [...layers.handlers.keys()]
    .filter((name) => !known.has(name))
    .map(
      (name) =>
        `${showTable(['server', 'subscriptions', name])} there is no handler of this name${didYouMean(name, known)}`,
    );
}
