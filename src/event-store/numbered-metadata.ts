import { isObject } from '../message/codec.ts';
import type { Json, JsonObject } from '../message/message.ts';

/**
 * The metadata of an event of an event-sourced aggregate, once its place is known: its id is `<stream>-<position>`, its
 * sequence id the position, and the version it was written on the one before.
 */
export function numberedMetadata(metadataText: string, stream: string, position: number): string {
  const metadata = JSON.parse(metadataText) as JsonObject;
  const headers = part(metadata['headers']);
  const domain = part(metadata['domain']);
  return JSON.stringify({
    ...metadata,
    headers: { ...headers, id: `${stream}-${position}` },
    domain: { ...domain, sequence_id: String(position), expected_version: position - 1 },
  });
}

const part = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
