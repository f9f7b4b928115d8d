import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';
import type { StoredMessage } from './event-store.ts';

/** A stored message as handlers get it, and the part of its envelope that tells who is to have it. */
export interface StoredBody {
  readonly body: string;
  readonly domain: JsonObject;
}

/**
 * The body of a stored message, as a stream entry has it, so that handlers get the same from both: `event_store` tells its
 * place. Null for what is no event or command of a domain: snapshots, positions, records of failures, and foreign rows.
 */
export function storedBody({ dataText, metadataText, position, globalPosition }: StoredMessage): StoredBody | null {
  if (metadataText === null) return null;
  const metadata = JSON.parse(metadataText) as Json;
  if (!isObject(metadata) || !isObject(metadata['headers']) || !isObject(metadata['domain'])) return null;
  const { domain } = metadata;
  if (domain['kind'] !== 'EVENT' && domain['kind'] !== 'COMMAND') return null;
  const place = { position, global_position: Number(globalPosition) };
  const body = `{"data":${dataText},"metadata":${JSON.stringify({ ...metadata, event_store: place })}}`;
  return { body, domain };
}

/** The body alone. */
export const bodyOf = (message: StoredMessage): string | null => storedBody(message)?.body ?? null;
