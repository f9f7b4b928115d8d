import { isUtf8 } from 'node:buffer';
import type { RedisReply } from '../connection/reply-of-redis.ts';
import { listOf, textOf } from '../connection/reply-of-redis.ts';

/** An entry as it stands on a stream. */
export interface RedisEntry {
  readonly id: string;
  readonly body: string;
  readonly bare: boolean;
  readonly raw: Uint8Array | null;
}

/**
 * The entry in `[id, [field, value, …]]`, read as bytes and decoded once. Null where the fields are missing: the entry was
 * deleted while it was pending.
 *
 * Of an entry without the field `data`, `raw` holds `field NUL value NUL …` where any of them is not UTF-8.
 */
export function entryOf(reply: RedisReply | undefined): RedisEntry | null {
  const [idReply, fieldsReply] = listOf(reply);
  const id = textOf(idReply);
  const fields = listOf(fieldsReply);
  if (id === null || fields.length === 0) return null;
  for (let index = 0; index < fields.length; index += 2) {
    if (!isData(fields[index])) continue;
    const value = bytesOf(fields[index + 1]);
    return { id, body: value.toString(), bare: false, raw: isUtf8(value) ? null : Uint8Array.from(value) };
  }
  return bareEntry(id, fields.map(bytesOf));
}

function bareEntry(id: string, fields: readonly Buffer[]): RedisEntry {
  const pairs: [string, string][] = [];
  for (let index = 0; index < fields.length; index += 2) {
    pairs.push([String(fields[index] ?? ''), String(fields[index + 1] ?? '')]);
  }
  const raw = fields.every(isUtf8) ? null : Uint8Array.from(Buffer.concat(fields.flatMap((field) => [field, nul])));
  // fromEntries makes own keys, also of a field that is called `__proto__`.
  return { id, body: JSON.stringify(Object.fromEntries(pairs)), bare: true, raw };
}

const nul = Buffer.of(0);

/** The bytes of `data`. */
const isData = (field: RedisReply | undefined): boolean =>
  Buffer.isBuffer(field) && field.length === 4 && field.readUInt32BE(0) === 0x64617461;

const bytesOf = (reply: RedisReply | undefined): Buffer =>
  Buffer.isBuffer(reply) ? reply : Buffer.from(String(reply));
