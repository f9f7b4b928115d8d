import type { SubscriptionType } from './config.ts';
import { fieldDefaults } from './layers.ts';
import { builtInProfiles } from './profiles.ts';
import type { SubscriptionFields, SubscriptionLayers } from './subscription-layers.ts';
import type { Path } from './tree.ts';

/** A handler that settings are asked for. */
export interface Asked {
  readonly name: string;
  readonly kind: 'command_handler' | 'event_handler' | 'projector' | 'subscriber';
  /** Other names that `[server.subscriptions.<name>]` may use: `Commands:order`. */
  readonly aliases?: readonly string[];
  /** What the handler states itself. */
  readonly profile: string | null;
  readonly subscription: SubscriptionFields | null;
}

/** A setting, and who said it. */
export interface Said {
  readonly value: string | number | boolean;
  /** `default`, `profile fast`, `[server.stream_subscription]`, `handler`. */
  readonly origin: string;
  /** Where the file says it; null where the file does not. */
  readonly path: Path | null;
}

export interface Stack {
  readonly type: SubscriptionType;
  /** The highest profile, or null. */
  readonly profile: string | null;
  readonly settings: ReadonlyMap<string, Said>;
}

/** The setting that is there only where somebody states it. */
const withoutDefault = 'origin_stream';

interface Layer {
  readonly origin: string;
  readonly table: Path | null;
  readonly fields: SubscriptionFields;
}

/**
 * Lays the settings of one handler over each other, low to high: defaults, the default profile, `[server]` and the table
 * of the subscription type, the profile of `[server.subscriptions.<name>]`, its other keys, the handler's own profile,
 * its own options. A subscriber is fed by a stream, with `[server.broker_subscription]` for its table.
 */
export function stack(layers: SubscriptionLayers, asked: Asked): Stack {
  const name = [asked.name, ...(asked.aliases ?? [])].find((each) => layers.handlers.has(each));
  const entry = name === undefined ? undefined : layers.handlers.get(name);
  const entryPath = ['server', 'subscriptions', name ?? asked.name];
  const profileLayer = (profile: string | null | undefined): readonly Layer[] => {
    const fields = profile ? layers.profiles.get(profile) : undefined;
    if (!profile || !fields) return [];
    const table = builtInProfiles.has(profile) ? null : ['server', 'profiles', profile];
    return [{ origin: `profile ${profile}`, table, fields }];
  };
  const below = profileLayer(layers.defaultProfile);
  const above: readonly Layer[] = [
    ...profileLayer(entry?.profile),
    { origin: `[server.subscriptions.${name}]`, table: entryPath, fields: entry?.fields ?? {} },
    ...profileLayer(asked.profile),
    { origin: 'handler', table: null, fields: asked.subscription ?? {} },
  ];
  const choice = layers.defaultType === null ? {} : { subscription_type: layers.defaultType };
  const type =
    asked.kind === 'subscriber' ? 'stream' : typeOf([...below, { origin: '', table: null, fields: choice }, ...above]);
  const settings = new Map<string, Said>();
  for (const [field, value] of fieldDefaults) settings.set(field, { value, origin: 'default', path: null });
  for (const { origin, table, fields } of [...below, ...tables(layers, asked.kind, type), ...above]) {
    for (const [field, value] of Object.entries(fields)) {
      if (settings.has(field) || field === withoutDefault)
        settings.set(field, { value, origin, path: table && [...table, field] });
    }
  }
  return { type, profile: asked.profile ?? entry?.profile ?? layers.defaultProfile, settings };
}

function tables(layers: SubscriptionLayers, kind: Asked['kind'], type: SubscriptionType): readonly Layer[] {
  const named = (key: string, fields: SubscriptionFields): Layer => ({
    origin: `[server.${key}]`,
    table: ['server', key],
    fields,
  });
  const server: Layer = { origin: '[server]', table: ['server'], fields: layers.server };
  if (kind === 'subscriber') return [server, named('broker_subscription', layers.broker)];
  if (type === 'event_store') return [server, named('event_store_subscription', layers.eventStore)];
  return [server, named('stream_subscription', layers.stream)];
}

const typeOf = (layers: readonly Layer[]): SubscriptionType =>
  layers.findLast(({ fields }) => fields['subscription_type'] !== undefined)?.fields['subscription_type'] ===
  'event_store'
    ? 'event_store'
    : 'stream';
