import type { Millis } from '../runtime/clock.ts';
import type { SchemaNode } from './schema.ts';

const units: ReadonlyMap<string, Millis> = new Map([
  ['milliseconds', 1],
  ['seconds', 1_000],
  ['hours', 3_600_000],
]);

/** A time of domain.toml in milliseconds, by the unit that the schema gives its key. The only place that converts. */
export function toMillis(value: number, node: SchemaNode | null): Millis {
  const factor = units.get(node?.['x-unit'] ?? '');
  if (factor === undefined) throw new Error('a time without a unit in the schema');
  return Math.round(value * factor);
}
