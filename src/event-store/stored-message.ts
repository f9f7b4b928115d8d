import { isObject } from '../message/codec.ts';
import type { Json } from '../message/message.ts';
import type { StoredMessage } from './event-store.ts';

/**
 * The body of a stored message, as a stream entry has it, so that handlers get the same from both: `event_store` tells its
 * place. Null for what is no event or command of a domain: snapshots, positions, records of failures, and foreign rows.
 */
export function bodyOf({ dataText, metadataText, position, globalPosition }: StoredMessage): string | null {
  if (metadataText === null) return null;
  const metadata = JSON.parse(metadataText) as Json;
  if (!isObject(metadata) || !isObject(metadata['headers']) || !isObject(metadata['domain'])) return null;
  const { kind } = metadata['domain'];
  if (kind !== 'EVENT' && kind !== 'COMMAND') return null;
  const place = { position, global_position: Number(globalPosition) };
  return `{"data":${dataText},"metadata":${JSON.stringify({ ...metadata, event_store: place })}}`;
}
