import type { Json } from '../message/message.ts';
import { toLoggedError } from './log-error.ts';

/** Copies facts of unknown make into plain JSON for a log line: bounded, secrets masked, never throwing. */
export type Redact = (facts: object) => { readonly [key: string]: Json };

const maxDepth = 8;
const maxKeys = 64;
const maxText = 4_096;
/** All texts of one line together. */
const maxTexts = 32_768;
const mask = '[redacted]';

/** Names that hold secrets wherever they stand. */
const secret =
  /(password|passwd|passphrase|secret|token|api[_-]?key|(access|private)[_-]?key|authorization|cookie|credentials?)$/i;

/**
 * `names` are those of `[logging] redact`: a plain name (`email`) is masked at every depth and in any case, a dotted
 * one (`customer.email`) at that place only, counted from the line itself.
 */
export function createRedact(names: readonly string[]): Redact {
  const anywhere = new Set(names.filter((name) => !name.includes('.')).map((name) => name.toLowerCase()));
  const places = new Set(names.filter((name) => name.includes('.')).map((name) => name.toLowerCase()));

  let textsLeft = maxTexts;

  const hidden = (key: string, path: string) => secret.test(key) || anywhere.has(key) || places.has(path);

  function copyObject(value: object, path: string, depth: number): { readonly [key: string]: Json } {
    const copy: { [key: string]: Json } = Object.create(null);
    for (const key of Object.keys(value).slice(0, maxKeys)) {
      const lower = key.toLowerCase();
      const at = path === '' ? lower : `${path}.${lower}`;
      const copied = hidden(lower, at) ? mask : copyOf(() => (value as { [name: string]: unknown })[key], at, depth);
      if (copied !== undefined) copy[key] = copied;
    }
    return copy;
  }

  function copyOf(read: () => unknown, path: string, depth: number): Json | undefined {
    try {
      return copy(read(), path, depth);
    } catch {
      return '[unserializable]';
    }
  }

  function copy(value: unknown, path: string, depth: number): Json | undefined {
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
    if (typeof value === 'string') return bounded(value);
    if (typeof value === 'bigint') return String(value);
    if (typeof value !== 'object') return undefined;
    if (value instanceof Error) return copyObject(toLoggedError(value), path, depth - 1);
    if (depth === 0) return Array.isArray(value) ? '[array]' : '[object]';
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (Array.isArray(value)) {
      return value.slice(0, maxKeys).map((_, index) => copyOf(() => value[index], path, depth - 1) ?? null);
    }
    if ('toJSON' in value && typeof value.toJSON === 'function') return copy(value.toJSON(), path, depth - 1);
    return copyObject(value, path, depth - 1);
  }

  function bounded(text: string): string {
    const most = Math.min(maxText, textsLeft);
    textsLeft -= Math.min(text.length, most);
    return text.length > most ? `${text.slice(0, most)}…` : text;
  }

  return (facts) => {
    textsLeft = maxTexts;
    try {
      return copyObject(facts instanceof Error ? { err: facts } : facts, '', maxDepth);
    } catch {
      return { facts: '[unserializable]' };
    }
  };
}
