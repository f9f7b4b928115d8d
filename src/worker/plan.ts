import type { Config, SubscriptionConfig } from '../config/config.ts';
import { resolveSubscription } from '../config/resolve.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import { laneOf } from '../message/stream-name.ts';
import { ConfigError } from '../runtime/errors.ts';

/** One subscription as the start banner shows it. */
export interface PlanRow {
  readonly handler: LoadedHandler;
  /** Each stream of the handler as its lanes, in the order of preference. */
  readonly lanes: readonly (readonly string[])[];
  /** All of them. */
  readonly streams: readonly string[];
  readonly settings: SubscriptionConfig;
}

/** Resolves every handler's subscription; throws ConfigError with the faults of all of them. */
export function planFor(config: Config, handlers: readonly LoadedHandler[]): readonly PlanRow[] {
  const { lanes, retryRules, subscriptions: layers } = config.server;
  const faults: ConfigError['faults'][number][] = [];
  const rows: PlanRow[] = [];
  for (const handler of handlers) {
    const lanesOf = handler.streams.map((stream) =>
      lanes !== null && handler.kind !== 'subscriber' ? [stream, laneOf(stream, lanes.suffix)] : [stream],
    );
    try {
      rows.push({
        handler,
        lanes: lanesOf,
        streams: lanesOf.flat(),
        settings: resolveSubscription(layers, handler, retryRules),
      });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return rows;
}
