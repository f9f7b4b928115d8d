/** Nobody writes such a value by hand; to walk a deeper one would end in a stack that is too small. */
const maxDepth = 200;

/**
 * The JSON text of `value`. Throws TypeError, with the path and without a piece of the value, where JSON.stringify would
 * change it in silence or fail: `data.items[2].price is undefined`.
 */
export function jsonText(value: unknown, name: string): string {
  const fault = faultIn(value, name, []);
  if (fault !== null) throw new TypeError(fault);
  return JSON.stringify(value);
}

function faultIn(given: unknown, path: string, within: readonly object[]): string | null {
  const value = plain(given);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return null;
    case 'number':
      return Number.isFinite(value) ? null : `${path} is ${value}, which JSON cannot say`;
    case 'bigint':
      return `${path} is a bigint, which JSON cannot say: use a text`;
    case 'undefined':
      return `${path} is undefined: leave it out, or use null`;
    case 'function':
    case 'symbol':
      return `${path} is a ${typeof value}, which JSON cannot say`;
    case 'object':
      return value === null ? null : faultInObject(value, path, within);
  }
}

function faultInObject(value: object, path: string, within: readonly object[]): string | null {
  if (within.includes(value)) return `${path} holds itself`;
  if (within.length >= maxDepth) return `${path} is nested more than ${maxDepth} deep`;
  if (value instanceof Map || value instanceof Set || value instanceof Promise) {
    return `${path} is a ${value.constructor.name}, which JSON cannot say`;
  }
  const inner = [...within, value];
  const parts: readonly (readonly [string, unknown])[] = Array.isArray(value)
    ? Array.from(value, (each, index) => [`${path}[${index}]`, each])
    : Object.entries(value).map(([key, each]) => [`${path}.${key}`, each]);
  for (const [place, each] of parts) {
    const fault = faultIn(each, place, inner);
    if (fault !== null) return fault;
  }
  return null;
}

/** What JSON.stringify would write in its place: a Date is a text. */
function plain(value: unknown): unknown {
  const speaks = typeof value === 'object' && value !== null && 'toJSON' in value && typeof value.toJSON === 'function';
  return speaks ? (value.toJSON as (key: string) => unknown)('') : value;
}
