import { isObject } from '../message/codec.ts';
import type { Batch, HandlerContext, HandlerFunction } from './handler.ts';
import { batchContextOf } from './invoke-batch.ts';

/** The batch of a projector as it was written, with what is wrong with it; with any fault it is not taken. */
export function batchIn(
  given: unknown,
  handles: unknown,
): { readonly taken: Batch | null; readonly faults: readonly string[] } {
  const { size, types, handle, ...rest } = isObject(given) ? (given as { readonly [key: string]: unknown }) : {};
  const faults = [
    ...(handles === undefined ? [] : ['has handles or batch, not both']),
    ...(Number.isInteger(size) && Number(size) >= 2 && Number(size) <= 10_000
      ? []
      : ['batch.size must be a whole number from 2 to 10000']),
    ...(types === undefined || isNames(types) ? [] : ['batch.types must be a list of message names']),
    ...(typeof handle === 'function' ? [] : ['batch.handle must be a function']),
    ...Object.keys(rest).map((key) => `batch has an unknown option ${key}; known are size, types, handle`),
  ];
  if (faults.length > 0) return { taken: null, faults };
  const names = isNames(types) ? new Set(types) : null;
  // Checked to be a function: what it takes is its own to say.
  return { taken: { size: Number(size), types: names, handle: handle as Batch['handle'] }, faults };
}

/** The same function for one message, by the names that it wants. */
export function handlesOf({ types, handle }: Batch): { readonly [name: string]: HandlerFunction } {
  const one = (message: never, ctx: HandlerContext) => handle([message] as never, batchContextOf(ctx));
  return Object.fromEntries([...(types ?? ['$any'])].map((name) => [name, one]));
}

const isNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' && each !== '');
