import { aboutKey, type Finding } from './finding.ts';
import type { Reader } from './reader.ts';
import { settingConflicts } from './setting-conflicts.ts';
import { type Asked, stack } from './stack.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';
import { isTable } from './tree.ts';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/;
const everywhere = /^(?:0\.0\.0\.0|\[?::\]?)$/;

export const isLoopback = (host: string): boolean => loopback.test(host);

/** The outbox and what reads it, ports, the ingress's token, and settings of subscriptions that cannot both be. */
export function checkServer(reader: Reader, layers: SubscriptionLayers): readonly Finding[] {
  return [...outboxFindings(reader, layers), ...portFindings(reader), ...subscriptionFindings(reader, layers)];
}

function outboxFindings({ stated }: Reader, layers: SubscriptionLayers): readonly Finding[] {
  if (stated(['enable_outbox']) !== true || defaultType(layers) !== 'event_store') return [];
  const key = layers.defaultType === null ? 'default_subscription_profile' : 'default_subscription_type';
  const sentence = `conflicts with [server] ${key}: the outbox publishes to streams that subscriptions of the type "event_store" never read; set the type to "stream", or remove enable_outbox`;
  return [aboutKey('conflict', ['enable_outbox'], sentence)];
}

/** The type of a subscription that nothing is said about. */
export const defaultType = (layers: SubscriptionLayers): 'stream' | 'event_store' =>
  stack(layers, asked('', 'event_handler')).type;

const asked = (name: string, kind: Asked['kind']): Asked => ({ name, kind, profile: null, subscription: null });

function portFindings({ flag, number, text }: Reader): readonly Finding[] {
  const server = (name: 'health' | 'ingress') => ({
    enabled: flag(['server', name, 'enabled']) === true,
    host: text(['server', name, 'host']) ?? '',
    port: number(['server', name, 'port']),
  });
  const health = server('health');
  const ingress = server('ingress');
  if (!ingress.enabled) return [];
  const findings: Finding[] = [];
  const overlap =
    health.host === ingress.host ||
    everywhere.test(health.host) ||
    everywhere.test(ingress.host) ||
    (isLoopback(health.host) && isLoopback(ingress.host));
  if (health.enabled && overlap && health.port !== 0 && health.port === ingress.port) {
    findings.push(
      aboutKey(
        'conflict',
        ['server', 'ingress', 'port'],
        `${ingress.port} is the port of [server.health] too: give each its own`,
      ),
    );
  }
  if (!isLoopback(ingress.host) && text(['server', 'ingress', 'token']) === null) {
    findings.push(
      aboutKey(
        'missing',
        ['server', 'ingress', 'token'],
        `is missing: [server.ingress] host = "${ingress.host}" can be reached from other machines`,
      ),
    );
  }
  return findings;
}

/** For handlers that nothing is said about, and for each one that something is. */
function subscriptionFindings({ stated }: Reader, layers: SubscriptionLayers): readonly Finding[] {
  const typed = (type: 'stream' | 'event_store') => ({ ...layers, defaultType: type });
  const all = [
    stack(typed('stream'), asked('', 'event_handler')),
    stack(typed('event_store'), asked('', 'event_handler')),
    stack(layers, asked('', 'subscriber')),
    ...[...layers.handlers.keys()].map((name) => stack(layers, asked(name, 'event_handler'))),
  ];
  const findings = all
    .flatMap(({ settings }) => settingConflicts(settings))
    .map(({ field, sentence, said }) => {
      const path = said.path ?? ['server', 'default_subscription_profile'];
      return aboutKey('conflict', path, said.path ? sentence : `${field}: ${sentence}`);
    });
  const seen = new Set<string>();
  return findings.filter(({ path, sentence }) => {
    const key = `${path.join('.')} ${sentence}`;
    const fresh = !seen.has(key) && isTable(stated(['server']));
    seen.add(key);
    return fresh;
  });
}
