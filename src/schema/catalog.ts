import type { Catalog } from '../message/catalog.ts';
import { openCatalog } from '../message/catalog.ts';
import type { JsonObject } from '../message/message.ts';
import { formatTypeName, parseTypeName } from '../message/type-name.ts';
import type { Upcast, Upcasts } from '../message/upcasts.ts';
import { chainUpcasts } from '../message/upcasts.ts';
import type { Fault } from '../runtime/errors.ts';
import { DecodeError, InvalidMessageError } from '../runtime/errors.ts';
import type { MessageSchema, Schemas } from './load-schemas.ts';
import { showPath } from './show-path.ts';

/** What becomes of a field of a payload that its schema does not name. */
export type UnknownFieldsPolicy = 'keep' | 'strip' | 'refuse';

export interface CatalogOptions {
  readonly unknownFields: UnknownFieldsPolicy;
}

export interface MadeCatalog {
  readonly catalog: Catalog;
  readonly faults: readonly Fault[];
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/** The catalog of a domain, from its schemas and upcasters. With faults, it must not be used. */
export function createCatalog(
  { unknownFields }: CatalogOptions,
  { messages }: Pick<Schemas, 'messages'>,
  upcasters: readonly Upcast[],
): MadeCatalog {
  const latest = new Map([...messages].map(([name, versions]) => [name, Math.max(...versions.keys())]));
  const { upcasts, faults } = chainUpcasts(upcasters, latest);
  const warnings = [...messages].flatMap(([name, versions]) => unmended(name, [...versions.keys()], upcasts));
  if (messages.size === 0 && upcasters.length === 0) return { catalog: openCatalog, faults, warnings };
  const newest = (name: string) => latest.get(name) ?? upcasts.newest(name);

  /** Whether anything was taken out. */
  const strip = ({ unknown }: MessageSchema, data: JsonObject): boolean =>
    unknownFields === 'strip' && unknown.strip(data);

  /** What is wrong with a payload, as the end of a sentence; null for nothing. */
  function faultOf(schema: MessageSchema, data: JsonObject): string | null {
    const fault = schema.check(data);
    if (fault !== null) return fault;
    const stray = unknownFields === 'refuse' ? schema.unknown.find(data) : null;
    return stray === null ? null : `${showPath(stray)} is not known`;
  }

  return {
    faults,
    warnings,
    catalog: {
      outgoing(message) {
        const { name, options, dataText } = message;
        const stated = typeof options['version'] === 'number' ? options['version'] : null;
        const version = stated ?? newest(name);
        const versions = messages.get(name);
        const named = version === null || stated !== null ? message : { ...message, options: { ...options, version } };
        if (version === null || versions === undefined) return named;
        const schema = versions.get(version);
        const known = [...versions.keys()].sort((one, other) => one - other).join(', ');
        if (schema === undefined) {
          throw new InvalidMessageError(`${name} has no schema of version ${version}: there is ${known}`);
        }
        const data = JSON.parse(dataText) as JsonObject;
        const stripped = strip(schema, data);
        const fault = faultOf(schema, data);
        if (fault !== null) throw new InvalidMessageError(`${name} (version ${version}): ${fault}`);
        return stripped ? { ...named, dataText: JSON.stringify(data) } : named;
      },
      incoming(message) {
        const { name } = message;
        const end = newest(name);
        if (end === null) return message;
        const { version, data } = upcasts.apply(name, message.version, message.data);
        const schema = messages.get(name)?.get(version);
        if (schema === undefined && version !== end) throw unknownVersion(name, version, end);
        if (schema !== undefined) strip(schema, data);
        const fault = schema === undefined ? null : faultOf(schema, data);
        if (fault !== null) throw new DecodeError('invalid_payload', `${name} (version ${version}): ${fault}`);
        if (version === message.version) return data === message.data ? message : { ...message, data };
        const domain = parseTypeName(message.type)?.domain ?? '';
        return { ...message, version, type: formatTypeName({ domain, name, version }), data };
      },
    },
  };
}

const unknownVersion = (name: string, version: number, newest: number): DecodeError =>
  new DecodeError(
    'unknown_version',
    `version ${version} of ${name} is not known: there is no schema of it, and no upcaster from it to version ${newest}`,
  );

/** Versions that reach handlers as they are, although handlers are written for the newest. */
function unmended(name: string, versions: readonly number[], upcasts: Upcasts): readonly string[] {
  const end = Math.max(...versions);
  const left = versions.filter((each) => each < end && !upcasts.known.get(name)?.has(each));
  if (left.length === 0) return [];
  const which = `version${left.length === 1 ? '' : 's'} ${left.join(', ')}`;
  return [`${name}: handlers get payloads of ${which} as they are, for want of an upcaster to version ${end}`];
}
