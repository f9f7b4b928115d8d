import { isObject } from '../message/codec.ts';
import { memberIn, withoutMember, withValue } from '../message/json-member.ts';
import type { Json, JsonObject } from '../message/message.ts';
import { sourceOfDeadLetters } from '../message/stream-name.ts';
import type { Millis } from '../runtime/clock.ts';

/** A dead letter as an operator sees it. Null where the letter does not say: others may have written it. */
export interface DeadLetter {
  /** The stream of dead letters, and the entry's id on it. */
  readonly stream: string;
  readonly id: string;
  /** Since it was given up, by the broker's clock. */
  readonly ageMs: Millis;
  /** Where it came from. */
  readonly origin: string;
  readonly originalId: string | null;
  readonly group: string | null;
  readonly consumer: string | null;
  readonly handler: string | null;
  readonly messageId: string | null;
  readonly messageType: string | null;
  readonly failedAt: string | null;
  readonly reason: string | null;
  readonly errorType: string | null;
  readonly errorMessage: string | null;
  readonly errorStack: string | null;
  /** How many attempts there were. */
  readonly attempts: number | null;
  /** Each of them, oldest first. */
  readonly history: readonly DeadLetterAttempt[];
  /** The letter's whole text. */
  readonly body: string;
}

export interface DeadLetterAttempt {
  readonly time: string | null;
  readonly consumer: string | null;
  readonly errorType: string | null;
  readonly errorMessage: string | null;
}

export interface ReadLetters {
  readonly stream: string;
  /** Ids, inclusive: `-` and `+` for the ends; `(id` for behind an id. */
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/**
 * The dead letters of one broker. Every method throws UnavailableError when it cannot be reached, and MisconfiguredError
 * when it answers with what waiting does not mend.
 */
export interface DeadLetters {
  /** The broker's name in domain.toml. */
  readonly broker: string;
  /** The broker's clock. */
  now(): Promise<Millis>;
  /** Every stream of dead letters that is there, by a search through all keys. */
  find(): Promise<readonly string[]>;
  /** The partitions of a category that are known to the broker. */
  partitions(category: string): Promise<readonly string[]>;
  count(stream: string): Promise<number>;
  read(request: ReadLetters): Promise<readonly DeadLetter[]>;
  /**
   * Moves a letter to what its group alone reads, with `body`: atomically, and once. False when it is no longer there:
   * somebody else has replayed or purged it.
   */
  replay(letter: Pick<DeadLetter, 'stream' | 'id'>, group: string, body: Uint8Array): Promise<boolean>;
  /** How many of them were still there. */
  remove(stream: string, ids: readonly string[]): Promise<number>;
  close(): void;
}

const noted = '_dlq_metadata';

/** Reads a letter. Never throws: what is no dead letter is one that says nothing. */
export function toDeadLetter(stream: string, id: string, body: string, ageMs: Millis): DeadLetter {
  const letter = objectIn(body) ?? {};
  const metadata = letter[noted];
  const note = isObject(metadata) ? metadata : {};
  const envelope = isObject(letter['metadata']) ? letter['metadata'] : {};
  const headers = isObject(envelope['headers']) ? envelope['headers'] : {};
  const history = Array.isArray(note['attempts']) ? (note['attempts'] as readonly Json[]).filter(isObject) : [];
  const attempts = note['retry_count'];
  return {
    stream,
    id,
    ageMs,
    origin: sourceOfDeadLetters(stream) ?? stream,
    originalId: text(note, 'original_id'),
    group: text(note, 'consumer_group'),
    consumer: text(note, 'consumer'),
    handler: text(note, 'handler'),
    messageId: text(note, 'message_id') ?? text(headers, 'id'),
    messageType: text(headers, 'type'),
    failedAt: text(note, 'failed_at'),
    reason: text(note, 'failure_reason'),
    errorType: text(note, 'error_type'),
    errorMessage: text(note, 'error_message'),
    errorStack: text(note, 'error_stack'),
    attempts: typeof attempts === 'number' ? attempts : null,
    history: history.map((each) => ({
      time: text(each, 'time'),
      consumer: text(each, 'consumer'),
      errorType: text(each, 'error_type'),
      errorMessage: text(each, 'error_message'),
    })),
    body,
  };
}

/** The bytes that the handler was given: the letter's text without what was noted. Null of what is no dead letter. */
export function originalBody(body: string): Buffer | null {
  const letter = objectIn(body);
  const note = letter === null ? null : memberIn(body, noted);
  if (letter === null || note === null) return null;
  const raw = letter['raw_base64'];
  if (typeof raw === 'string' && Object.keys(letter).length === 2) return Buffer.from(raw, 'base64');
  return Buffer.from(withoutMember(body, note));
}

/** What of a body is the payload: `data` of a message with its envelope, of anything else the whole. */
export function payloadIn(body: string): string {
  const data = objectIn(body)?.['metadata'] === undefined ? null : memberIn(body, 'data');
  return data === null ? body : body.slice(data.start, data.end);
}

/** The body with another payload, which is JSON; a checksum would no longer be right, and is taken out. */
export function withPayload(body: string, payload: string): string {
  const data = objectIn(body)?.['metadata'] === undefined ? null : memberIn(body, 'data');
  if (data === null) return payload;
  const edited = withValue(body, data, payload);
  const metadata = memberIn(edited, 'metadata');
  const envelope = metadata && memberIn(edited, 'envelope', metadata.start);
  const checksum = envelope && memberIn(edited, 'checksum', envelope.start);
  return checksum === null ? edited : withValue(edited, checksum, 'null');
}

function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function text(object: JsonObject, key: string): string | null {
  const value = object[key];
  return typeof value === 'string' ? value : null;
}
