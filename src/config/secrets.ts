import { nodeAt } from './schema.ts';
import type { Path, TomlValue } from './tree.ts';
import { isTable } from './tree.ts';
import { maskUri } from './uri.ts';

const secretName =
  /pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|credential|private|auth(?:orization)?|dsn|cookie/i;

/** Whether a key, or the name of a variable, sounds as if its value were a secret. */
export const isSecretName = (name: string): boolean => secretName.test(name);

/** Whether the value at `path` must never be shown. Keys of the schema say so; others are judged by their names. */
export function isSecret(path: Path): boolean {
  const node = nodeAt(path);
  if (node) return node['x-secret'] === true;
  return path.some((step) => typeof step === 'string' && isSecretName(step));
}

/** A value as it may be shown: secrets as `***`, passwords in URIs as `***`, the rest as it is. */
export function masked(path: Path, value: TomlValue): TomlValue {
  if (isSecret(path)) return '***';
  if (typeof value === 'string') return /:\/\//.test(value) ? maskUri(value) : value;
  return value;
}

const longest = 60;

/** A value in an error's sentence: short, on one line, never a secret. `where`: its path. */
export function shown(path: Path, value: unknown): string {
  if (isSecret(path)) return 'a value that is not shown';
  if (Array.isArray(value)) return 'an array';
  if (isTable(value)) return 'a table';
  if (typeof value !== 'string') return String(value);
  if (nodeAt(path)?.['x-uri'] || value.includes('://')) return `"${maskUri(value)}"`;
  const text = JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest)}…"` : text;
}
