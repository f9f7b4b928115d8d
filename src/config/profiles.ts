import { readFileSync } from 'node:fs';
import { aboutKey, aboutTable, type Finding } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Reader } from './reader.ts';
import type { SubscriptionFields } from './subscription-layers.ts';
import { isTable, type Path, type TomlValue } from './tree.ts';

const shipped = new URL('../../config/profiles.json', import.meta.url);

/** `production`, `fast`, `batch`, `debug` and `projection`, from config/profiles.json. */
export const builtInProfiles: ReadonlyMap<string, SubscriptionFields> = new Map(
  Object.entries(JSON.parse(readFileSync(shipped, 'utf8')) as Record<string, SubscriptionFields>),
);

/** What a table says of a subscription itself; what it says of profiles is left out. */
export function fieldsOf(table: TomlValue | undefined): SubscriptionFields {
  const entries = isTable(table) ? Object.entries(table) : [];
  const fields = entries.filter(
    ([key, value]) => key !== 'profile' && key !== 'inherits' && !isTable(value) && !Array.isArray(value),
  );
  return Object.fromEntries(fields) as SubscriptionFields;
}

const at = (name: string, ...rest: Path): Path => ['server', 'profiles', name, ...rest];

/** The built-in profiles and those under `[server.profiles]`, each with all that it inherits. */
export function readProfiles(reader: Reader): {
  readonly profiles: ReadonlyMap<string, SubscriptionFields>;
  readonly findings: readonly Finding[];
} {
  const own = reader.names(['server', 'profiles']);
  const profiles = new Map(builtInProfiles);
  const findings: Finding[] = [];

  function resolve(name: string, heirs: readonly string[]): SubscriptionFields {
    const done = profiles.get(name);
    if (done) return done;
    const parent = reader.text(at(name, 'inherits'));
    let inherited: SubscriptionFields = {};
    if (parent !== null && [...heirs, name].includes(parent)) {
      findings.push(aboutKey('conflict', at(name, 'inherits'), `"${parent}" inherits from this profile itself`));
    } else if (parent !== null && !builtInProfiles.has(parent) && !own.includes(parent)) {
      findings.push(
        aboutKey(
          'unknown_reference',
          at(name, 'inherits'),
          unknownProfile(parent, [...builtInProfiles.keys(), ...own]),
        ),
      );
    } else if (parent !== null) inherited = resolve(parent, [...heirs, name]);
    const fields = { ...inherited, ...fieldsOf(reader.stated(at(name))) };
    profiles.set(name, fields);
    return fields;
  }

  for (const name of own) {
    if (builtInProfiles.has(name)) {
      findings.push(
        aboutTable(
          'conflict',
          at(name),
          `"${name}" is a built-in profile: give yours another name, and write inherits = "${name}"`,
        ),
      );
    } else resolve(name, []);
  }
  return { profiles, findings };
}

/** `there is no profile "fats" (did you mean "fast"?): there are production, fast, …`. */
export const unknownProfile = (name: string, names: readonly string[]): string =>
  `there is no profile "${name}"${didYouMean(name, names)}: there are ${names.join(', ')}`;
