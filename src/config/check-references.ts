import { aboutKey, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { readProfiles, unknownProfile } from './profiles.ts';
import type { Reader } from './reader.ts';
import type { SubscriptionLayers } from './subscription-layers.ts';
import type { Path } from './tree.ts';

/** Names that must exist: brokers of the outbox, profiles. Each sentence lists those that do. */
export function checkReferences(reader: Reader, layers: SubscriptionLayers): readonly Finding[] {
  const { profiles, findings } = readProfiles(reader);
  return [...findings, ...brokerFindings(reader), ...profileFindings(layers, [...profiles.keys()])];
}

function brokerFindings({ names, text, texts }: Reader): readonly Finding[] {
  const brokers = names(['brokers']);
  const unknown = (name: string) =>
    `there is no broker "${name}"${didYouMean(name, brokers)}: there ${brokers.length === 1 ? 'is' : 'are'} ${brokers.join(', ') || 'none'}`;
  const findings: Finding[] = [];
  const target = text(['outbox', 'broker']) ?? 'default';
  // Where `default` itself is missing, that is told already.
  if (!brokers.includes(target) && target !== 'default')
    findings.push(aboutKey('unknown_reference', ['outbox', 'broker'], unknown(target)));
  for (const [index, name] of (texts(['outbox', 'external_brokers']) ?? []).entries()) {
    const path = ['outbox', 'external_brokers', index];
    if (!brokers.includes(name)) findings.push(aboutKey('unknown_reference', path, unknown(name)));
    else if (name === target)
      findings.push(
        aboutKey('conflict', path, `"${name}" is the outbox's own broker: every message goes there already`),
      );
  }
  return findings;
}

function profileFindings(layers: SubscriptionLayers, names: readonly string[]): readonly Finding[] {
  const chosen: (readonly [Path, string | null])[] = [
    [['server', 'default_subscription_profile'], layers.defaultProfile],
  ];
  for (const [name, { profile }] of layers.handlers)
    chosen.push([['server', 'subscriptions', name, 'profile'], profile]);
  return chosen
    .filter(([, profile]) => profile !== null && !names.includes(profile))
    .map(([path, profile]) => aboutKey('unknown_reference', path, unknownProfile(String(profile), names)));
}
