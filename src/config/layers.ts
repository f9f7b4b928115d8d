import type { SubscriptionType } from './config.ts';
import { fieldsOf, readProfiles } from './profiles.ts';
import type { Reader } from './reader.ts';
import { dereference, nodeAt } from './schema.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';

const oneHandler = nodeAt(['server', 'subscriptions', 'any']);

/** The settings that layers are made of, each with its default; `subscription_type` and what has none left out. */
export const fieldDefaults: ReadonlyMap<string, string | number | boolean> = new Map(
  Object.entries(oneHandler?.properties ?? {}).flatMap(([name, node]) => {
    const value = dereference(node).default;
    return name === 'subscription_type' || value === undefined || Array.isArray(value)
      ? []
      : [[name, value as string | number | boolean]];
  }),
);

/** What the file says of subscriptions, layer by layer. */
export function readLayers(reader: Reader): SubscriptionLayers {
  const table = (name: string) => fieldsOf(reader.stated(['server', name]));
  const stated = reader.stated(['server', 'default_subscription_type']);
  const handlers = reader.names(['server', 'subscriptions']).map((name) => {
    const path = ['server', 'subscriptions', name];
    return [name, { profile: reader.text([...path, 'profile']), fields: fieldsOf(reader.stated(path)) }] as const;
  });
  const server = Object.entries(fieldsOf(reader.stated(['server']))).filter(([name]) => fieldDefaults.has(name));
  return {
    defaultType: stated === 'stream' || stated === 'event_store' ? (stated satisfies SubscriptionType) : null,
    defaultProfile: reader.text(['server', 'default_subscription_profile']),
    server: Object.fromEntries(server),
    stream: table('stream_subscription'),
    eventStore: table('event_store_subscription'),
    broker: table('broker_subscription'),
    handlers: new Map(handlers),
    profiles: readProfiles(reader).profiles,
  };
}
