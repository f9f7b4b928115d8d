import { isObject } from '../message/codec.ts';

/** Throws TypeError unless `id` can name a document: a text of 1–255 characters without control characters. */
export function checkDocumentId(id: unknown): void {
  if (typeof id !== 'string' || id === '' || id.length > 255 || /\p{Cc}/u.test(id)) {
    throw new TypeError('ctx.store: an id is a text of 1–255 characters without control characters');
  }
}

/** Throws TypeError unless `name` can name a collection. */
export function checkCollectionName(name: unknown): void {
  if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/.test(name)) {
    throw new TypeError("ctx.store: a collection is named like 'orders', with at most 63 letters, digits, _ . and -");
  }
}

/**
 * The JSON text of a document. Throws TypeError where `value` is not an object, or has the character U+0000 in a text,
 * which PostgreSQL cannot keep: refused on every database, so that handlers do not depend on which one they have.
 */
export function documentText(collection: string, id: string, value: unknown): string {
  if (!isObject(value)) throw new TypeError(`ctx.store('${collection}').put('${id}'): a document is an object`);
  const text = JSON.stringify(value);
  if (/(?<!\\)(?:\\\\)*\\u0000/.test(text)) {
    throw new TypeError(`ctx.store('${collection}').put('${id}'): a text in the document has the character U+0000`);
  }
  return text;
}
