import type { Config } from './config.ts';
import { type Effective, placeOf, renderFindings } from './effective.ts';
import { overlayAlone } from './overlay.ts';
import { domainSchema, keysOf } from './schema.ts';
import { type Table, valueAt } from './tree.ts';
import { validate } from './validate.ts';

/** What is worth knowing of a configuration that loads, one sentence each. */
export function warningsOf(effective: Effective, config: Config): readonly string[] {
  const { document, env, layered } = effective;
  const warnings: string[] = [];
  if (env !== null && !layered.overlays.has(env)) {
    const overlays = [...layered.overlays.keys()];
    const others = overlays.length === 0 ? 'no overlay' : `only ${overlays.map((name) => `[${name}]`).join(', ')}`;
    const taken = keysOf(domainSchema).includes(env) ? `: [${env}] is a part of the configuration itself` : '';
    warnings.push(
      `${document.name} has no overlay for the environment "${env}"${taken}, ${others}: it is used as it is`,
    );
  }
  for (const [name, overlay] of layered.overlays)
    if (name !== env) warnings.push(...overlayWarnings(effective, name, overlay));
  for (const { name, ...broker } of config.brokers.values()) {
    if ('tls' in broker && broker.tls?.insecureSkipVerify) {
      warnings.push(
        `${placeOf(effective, ['brokers', name, 'insecure_skip_verify'])} [brokers.${name}] insecure_skip_verify: any certificate is taken, so anybody may be the broker`,
      );
    }
  }
  return warnings;
}

/** An overlay that is not in force keeps nothing from starting, but its slips are worth knowing before the day it is. */
function overlayWarnings(effective: Effective, name: string, overlay: Table): readonly string[] {
  const alone = overlayAlone(name, overlay);
  const faults = validate(alone.tree).filter(
    ({ path }) => !JSON.stringify(valueAt(alone.tree, path) ?? '').includes('${'),
  );
  const layered = { ...effective.layered, written: alone.written };
  const rendered = renderFindings([...alone.findings, ...faults], { ...effective, layered, variables: new Map() });
  return rendered.map(({ where, message }) => `${where} ${message} (in the overlay "${name}", which is not in force)`);
}
