import type { Config } from './config.ts';
import { type Effective, placeOf } from './effective.ts';
import { fieldDefaults } from './layers.ts';
import { childOf, dereference, domainSchema, isFree, type SchemaNode } from './schema.ts';
import { isSecretName, masked } from './secrets.ts';
import { stack } from './stack.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';
import { isTable, keyOf, leavesOf, type Path, showKey, type TomlValue, valueAt } from './tree.ts';

/** One setting of the effective configuration, and where it comes from. */
export interface Setting {
  /** `[brokers.default] URI`. */
  readonly key: string;
  /** Secrets and passwords as `***`; null for none. */
  readonly value: TomlValue | null;
  /** `default`, `domain.toml:12`, `domain.toml:30 [prod]`, `domain.toml:12 ${REDIS_URL}`, `profile fast`. */
  readonly origin: string;
}

/**
 * Every setting in force, in the order of the schema. Those of subscriptions are given as a handler has them that the
 * file says nothing of, under `[server.subscriptions.*]`, and then as the file states them.
 */
export function settingsOf(effective: Effective, config: Config): readonly Setting[] {
  const worked = derived(config);
  const all = below(effective, domainSchema, []).map((setting) => {
    const value = worked.get(setting.key);
    return setting.value === null && value !== undefined ? { ...setting, value } : setting;
  });
  return [...all, ...handlerSettings(effective, config.server.subscriptions)];
}

/** Defaults that depend on other things: their values here. */
const derived = ({ domain, outbox }: Config): ReadonlyMap<string, TomlValue> =>
  new Map<string, TomlValue>([
    ['name', domain.name],
    ['enable_outbox', outbox !== null],
  ]);

function below(effective: Effective, node: SchemaNode, path: Path): readonly Setting[] {
  const stated = valueAt(effective.tree, path);
  const names = isTable(stated) ? Object.keys(stated) : [];
  // The one name that is there without being stated.
  if (path[0] === 'databases' && path.length === 1 && !names.includes('default')) {
    const memory = { key: showKey([...path, 'default', 'provider']), value: 'memory', origin: 'default' };
    return [memory, ...names.flatMap((name) => child(effective, node, [...path, name]))];
  }
  if (isFree(node))
    return [...leavesOf(stated ?? {}, path)].flatMap(([leaf, value]) =>
      isTable(value) ? [] : [statedSetting(effective, leaf, value)],
    );
  if (node.properties === undefined) return names.flatMap((name) => child(effective, node, [...path, name]));
  return Object.entries(node.properties)
    .filter(([, each]) => dereference(each)['x-alias-of'] === undefined)
    .flatMap(([key]) => child(effective, node, [...path, key]));
}

function child(effective: Effective, parent: SchemaNode, path: Path): readonly Setting[] {
  const node = childOf(parent, path.at(-1) ?? '');
  if (node === null) return [];
  const stated = valueAt(effective.tree, path);
  // What has no effect is no setting, unless somebody thinks it is.
  if (node['x-without-effect'] && stated === undefined) return [];
  if (node.type === 'object') return below(effective, node, path);
  if (stated !== undefined) return [statedSetting(effective, path, stated)];
  // A setting of subscriptions that is not stated is that of another layer.
  if (isLayered(path)) return [];
  const value = (node.default as TomlValue | undefined) ?? null;
  return [
    {
      key: showKey(path),
      value,
      origin: node['x-default'] ? `default: ${node['x-default'].replaceAll('`', '')}` : 'default',
    },
  ];
}

const isLayered = (path: Path): boolean => {
  const field = String(path.at(-1));
  return (
    path[0] === 'server' &&
    (fieldDefaults.has(field) ||
      field === 'default_subscription_type' ||
      ['subscriptions', 'profiles'].includes(String(path[1])))
  );
};

function statedSetting(effective: Effective, path: Path, value: TomlValue): Setting {
  const overlay = effective.layered.written.get(keyOf(path))?.[0];
  const layer = overlay !== undefined && overlay === effective.env ? ` [${overlay}]` : '';
  const names = effective.variables.get(keyOf(path)) ?? [];
  const variables = names.map((name) => ` \${${name}}`);
  // Of a URI, the rest is worth showing.
  const isUri = typeof value === 'string' && value.includes('://');
  const shown = !isUri && names.some(isSecretName) ? '***' : masked(path, value);
  return {
    key: showKey(path),
    value: shown,
    origin: `${lineOf(effective, path)}${layer}${variables.join('')}`,
  };
}

/** `domain.toml:12`, without the column. */
const lineOf = (effective: Effective, path: Path): string => placeOf(effective, path).replace(/:\d+$/, '');

function handlerSettings(effective: Effective, layers: SubscriptionLayers): readonly Setting[] {
  const { type, profile, settings } = stack(layers, {
    name: '*',
    kind: 'event_handler',
    profile: null,
    subscription: null,
  });
  const key = (field: string) => `[server.subscriptions.*] ${field}`;
  const rows = [...settings].map(([field, { value, origin, path }]) => ({
    key: key(field),
    value,
    origin: path ? lineOf(effective, path) : origin,
  }));
  const typeOrigin = layers.defaultType
    ? lineOf(effective, ['server', 'default_subscription_type'])
    : profile
      ? `profile ${profile}`
      : 'default';
  return [{ key: key('subscription_type'), value: type, origin: typeOrigin }, ...rows];
}
