import type { Broker } from '../broker/broker.ts';
import { createInlineBroker } from '../broker/inline-broker.ts';
import { createRedisBroker } from '../broker/redis-broker.ts';
import { createRedisPubsubBroker } from '../broker/redis-pubsub-broker.ts';
import type { BrokerConfig } from '../config/config.ts';
import type { Clock, Random } from '../runtime/clock.ts';
import type { Emit } from '../telemetry/event.ts';
import { notifier } from './notifier.ts';

interface OpenBrokerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
}

/** The broker that a provider's name stands for. Connects to nothing yet. */
export function openBroker(config: BrokerConfig, { clock, random, emit }: OpenBrokerDeps): Broker {
  const { name } = config;
  switch (config.provider) {
    case 'inline':
      return createInlineBroker({ name }, { clock });
    case 'redis':
      return createRedisBroker(config, { clock, random, notice: notifier(`broker "${name}"`, emit) });
    case 'redis_pubsub':
      return createRedisPubsubBroker(config, { clock, random, notice: notifier(`broker "${name}"`, emit) });
  }
}
