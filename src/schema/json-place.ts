import type { TextPlace } from '../message/json-fault.ts';
import { elementIn, memberIn } from '../message/json-member.ts';
import type { JsonPath } from './schema-node.ts';

/** Where the value at `path` stands in a JSON text, its key included; where there is none, the nearest around it. */
export function placeOf(text: string, path: JsonPath): TextPlace {
  let value = 0;
  let offset = 0;
  for (const step of path) {
    const span = typeof step === 'number' ? elementIn(text, step, value) : memberIn(text, step, value);
    if (span === null) break;
    offset = span.from;
    value = span.start;
  }
  const before = text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

/** `order/OrderPlaced.json:3:5`, for a fault of a file. */
export function whereIn(file: string, text: string, path: JsonPath): string {
  const { line, column } = placeOf(text, path);
  return `${file}:${line}:${column}`;
}
