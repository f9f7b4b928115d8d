import type { Config } from '../../../src/config/config.ts';
import type { Database, Providers, ProvidersDeps } from '../../../src/providers.ts';
import { openProviders as open } from '../../../src/providers.ts';
import { struckBroker } from './struck-broker.ts';
import { struckDatabase, struckEventStore } from './struck-database.ts';

/** The providers of the daemon, with a point before and behind each call that writes something down. */
export function openProviders(config: Config, deps: ProvidersDeps): Providers {
  const providers = open(config, deps);
  const databases = new Map([...providers.databases].map(([name, each]) => [name, struckDatabase(each)]));
  const brokers = new Map([...providers.brokers].map(([name, each]) => [name, struckBroker(each)]));
  const { eventStore } = providers;
  return {
    ...providers,
    databases,
    brokers,
    eventStore: { ...eventStore, store: struckEventStore(eventStore.store) },
    database: (name): Database => databases.get(name) ?? providers.database(name),
    broker: (name) => brokers.get(name) ?? providers.broker(name),
  };
}
