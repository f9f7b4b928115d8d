import { isObject } from '../message/codec.ts';
import { isMessageName } from '../message/type-name.ts';
import type { Upcast } from '../message/upcasts.ts';
import type { MessageName, MessageVersions, Unchecked } from './handler.ts';
import { placeOfCall } from './place-of-call.ts';

/** The payload of one version of a message, unchecked where the application has declared none. */
export type VersionOf<Name, Version> = Name extends keyof MessageVersions
  ? Version extends keyof MessageVersions[Name]
    ? MessageVersions[Name][Version]
    : Unchecked
  : Unchecked;

export interface UpcasterInput<Name extends MessageName, From extends number, To extends number> {
  /** The message's name: `OrderPlaced`. */
  readonly type: Name;
  readonly from: From;
  readonly to: To;
  /** The payload of version `to` from that of version `from`, which it may change. Must not wait for anything. */
  readonly up: (data: VersionOf<Name, From>) => VersionOf<Name, To>;
}

/** What `upcaster` returns and modules export. Plain data; the mark tells it from other exports. */
export interface UpcasterDefinition {
  readonly [upcasterMark]: true;
  readonly upcast: Omit<Upcast, 'place'>;
  /** What is wrong with it, one sentence each. */
  readonly faults: readonly string[];
  /** Where it was made, or null where that is not known. */
  readonly place: string | null;
}

/** Registered globally, so that definitions made by another copy of this package are known too. */
export const upcasterMark: unique symbol = Symbol.for('domaind.upcaster');

/**
 * Makes messages of an old version into those of a newer one, before they are checked and handled. A chain of them leads
 * from each version to the newest.
 */
export function upcaster<Name extends MessageName, const From extends number, const To extends number>(
  input: UpcasterInput<Name, From, To>,
): UpcasterDefinition {
  const { type, from, to, up, ...others }: Record<string, unknown> = isObject(input) ? input : {};
  const faults = [
    ...(typeof type === 'string' && isMessageName(type)
      ? []
      : ['type must be the name of a message, like OrderPlaced']),
    ...(isVersion(from) && isVersion(to) ? [] : ['from and to must be versions: whole numbers from 1']),
    ...(typeof up === 'function' ? [] : ['up must be a function']),
    ...Object.keys(others).map((key) => `has an unknown option ${key}; known are type, from, to, up`),
  ];
  return Object.freeze({
    [upcasterMark]: true as const,
    // What is not of its type is in `faults`, and a definition with faults is not taken.
    upcast: Object.freeze({ type: String(type), from: Number(from), to: Number(to), up: up as Upcast['up'] }),
    faults: Object.freeze(faults),
    place: placeOfCall(upcaster),
  });
}

const isVersion = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 1;

/** Whether a module's export is an upcaster, also one made by another copy of this package. Never throws. */
export function isUpcasterDefinition(value: unknown): value is UpcasterDefinition {
  try {
    return typeof value === 'object' && value !== null && upcasterMark in value;
  } catch {
    return false;
  }
}

/** The upcasters among the exports of a module, those with faults left out. */
export function upcastersIn(file: string, exports: Iterable<readonly [string, unknown]>) {
  const upcasts: Upcast[] = [];
  const faults: { readonly name: string; readonly place: string; readonly sentence: string }[] = [];
  for (const [name, definition] of exports) {
    if (!isUpcasterDefinition(definition)) continue;
    const place = definition.place ?? file;
    if (definition.faults.length === 0) upcasts.push({ ...definition.upcast, place });
    faults.push(...definition.faults.map((sentence) => ({ name, place, sentence })));
  }
  return { upcasts, faults };
}
