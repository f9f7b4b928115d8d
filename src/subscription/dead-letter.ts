import type { AttemptRecord, Delivery } from '../broker/broker.ts';
import { originOf } from '../message/stream-name.ts';
import { toFailure } from '../runtime/failure.ts';

/** What a dead letter says of its end, besides what the delivery knows. */
export interface Verdict {
  readonly group: string;
  readonly consumer: string;
  readonly handler: string;
  readonly messageId: string | null;
  /** ISO-8601. */
  readonly failedAt: string;
  readonly error: Error;
}

/** One failed try, as it is kept with the entry and in its dead letter. */
export function toAttemptRecord(error: Error, consumer: string, time: string): AttemptRecord {
  const { type, message } = toFailure(error);
  return { time, consumer, error_type: type, error_message: message };
}

/**
 * The body of a dead letter: the original text with `_dlq_metadata` added at its end, so that nothing of it
 * is re-serialised; a body that is not a JSON object goes as `raw_base64`. The attempts are the whole history, the
 * last one included.
 */
export function composeDeadLetter(delivery: Delivery, verdict: Verdict): string {
  const { error, group, consumer, handler, messageId, failedAt } = verdict;
  const failure = toFailure(error);
  const attempts = [...delivery.history, toAttemptRecord(error, consumer, failedAt)];
  const metadata = JSON.stringify({
    original_stream: originOf(delivery.stream),
    original_id: delivery.id,
    consumer_group: group,
    consumer,
    failed_at: failedAt,
    retry_count: delivery.attempt,
    failure_reason: failure.code ?? 'handler_failed',
    error_type: failure.type,
    error_message: failure.message,
    error_stack: failure.stack,
    attempts,
    handler,
    message_id: messageId,
  });
  return withMetadata(delivery, metadata);
}

function withMetadata({ body, raw }: Delivery, metadata: string): string {
  if (raw !== null) return `{"raw_base64": "${Buffer.from(raw).toString('base64')}", "_dlq_metadata": ${metadata}}`;
  if (!isJsonObject(body)) {
    return `{"raw_base64": "${Buffer.from(body, 'utf8').toString('base64')}", "_dlq_metadata": ${metadata}}`;
  }
  const open = body.slice(0, body.lastIndexOf('}')).trimEnd();
  return `${open}${open.endsWith('{') ? '' : ', '}"_dlq_metadata": ${metadata}}`;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
