import type { DeadLetter } from '../broker/dead-letters.ts';
import { originalBody } from '../broker/dead-letters.ts';
import type { JsonObject } from '../message/message.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Asked, Found } from './dlq-asked.ts';
import { filterIn, handlerOf, lettersIn, lettersNamed, missing } from './dlq-asked.ts';
import { causeKey } from './dlq-causes.ts';
import { facts, table } from './listing.ts';
import { span } from './spans.ts';

/** `domaind dlq list`: one letter a line, or with `--by error` one cause. */
export async function listDeadLetters(asked: Asked): Promise<number> {
  const { given, io, subjects, usage, sources } = asked;
  if (subjects.length > 0) throw new UsageError(`unexpected "${subjects[0]}"\nusage: ${usage}`);
  const by = given.text('by');
  if (by !== null && by !== 'error') throw new UsageError(`--by takes error, got "${by}"\nusage: ${usage}`);
  const limit = given.number('limit', 1) ?? 50;
  const counts = await Promise.all(
    sources.map(async ({ letters, stream }) => ({
      broker: letters.broker,
      stream,
      count: await letters.count(stream),
    })),
  );
  const streams = counts.filter(({ count }) => count > 0);
  if (by !== null) return listCauses(asked, limit, streams);
  const found: Found[] = [];
  let more = false;
  for await (const each of lettersIn(asked, filterIn(asked))) {
    more = found.length === limit;
    if (more) break;
    found.push({ source: each.source, letter: { ...each.letter, body: '', errorStack: null } });
  }
  if (given.flag('json')) {
    io.out(JSON.stringify({ streams, dead_letters: found.map(letterOf) }, null, 2));
    return 0;
  }
  io.out(total(streams));
  if (found.length > 0) {
    const rows = found.map((each) => {
      const { id, ageMs, messageType, attempts } = each.letter;
      const tries = attempts === null ? '-' : String(attempts);
      return [id, span(ageMs), handlerOf(each) ?? '-', tries, messageType ?? '-', causeOf(each.letter)];
    });
    io.out(`\n${table(io, ['ID', 'AGE', 'HANDLER', 'TRIES', 'TYPE', 'CAUSE'], rows)}`);
  }
  if (more) io.err(`the first ${limit}: --limit shows more`);
  return 0;
}

interface StreamCount {
  readonly broker: string;
  readonly stream: string;
  readonly count: number;
}

function total(streams: readonly StreamCount[]): string {
  const all = streams.reduce((sum, { count }) => sum + count, 0);
  if (all === 0) return 'no dead letters';
  const each = streams.map(({ stream, count }) => `${count} in ${stream}`);
  return `${all} dead letter${all === 1 ? '' : 's'}: ${each.join(', ')}`;
}

interface Cause {
  readonly handler: string | null;
  readonly letter: DeadLetter;
  count: number;
  oldestMs: number;
  newestMs: number;
}

async function listCauses(asked: Asked, limit: number, streams: readonly StreamCount[]): Promise<number> {
  const { given, io } = asked;
  const causes = new Map<string, Cause>();
  for await (const found of lettersIn(asked, filterIn(asked))) {
    const { letter } = found;
    const handler = handlerOf(found);
    const key = causeKey(handler, letter);
    const known = causes.get(key);
    if (known === undefined) {
      causes.set(key, {
        handler,
        letter: { ...letter, body: '' },
        count: 1,
        oldestMs: letter.ageMs,
        newestMs: letter.ageMs,
      });
      continue;
    }
    known.count += 1;
    known.oldestMs = Math.max(known.oldestMs, letter.ageMs);
    known.newestMs = Math.min(known.newestMs, letter.ageMs);
  }
  const most = [...causes.values()].sort((one, other) => other.count - one.count).slice(0, limit);
  if (given.flag('json')) {
    const json = most.map(({ handler, letter, count, oldestMs, newestMs }) => ({
      handler,
      error_type: letter.errorType,
      reason: letter.reason,
      example: { stream: letter.stream, id: letter.id, error_message: letter.errorMessage },
      count,
      oldest_age_ms: oldestMs,
      newest_age_ms: newestMs,
    }));
    io.out(JSON.stringify({ streams, causes: json }, null, 2));
    return 0;
  }
  io.out(total(streams));
  if (most.length > 0) {
    const rows = most.map(({ handler, letter, count, oldestMs, newestMs }) => [
      String(count),
      handler ?? '-',
      span(oldestMs),
      span(newestMs),
      causeOf(letter),
    ]);
    io.out(`\n${table(io, ['COUNT', 'HANDLER', 'OLDEST', 'NEWEST', 'CAUSE, FOR EXAMPLE'], rows)}`);
  }
  return 0;
}

/** `domaind dlq show ID`: the whole history. */
export async function showDeadLetters(asked: Asked): Promise<number> {
  const { given, io, subjects } = asked;
  const found = await lettersNamed(asked, filterIn(asked));
  const payload = given.flag('payload');
  if (given.flag('json')) {
    const bodyOf = ({ letter }: Found) => (payload ? { body: bodyText(letter) } : {});
    io.out(
      JSON.stringify(
        found.map((each) => ({ ...letterOf(each), ...bodyOf(each) })),
        null,
        2,
      ),
    );
  } else {
    for (const [index, each] of found.entries()) {
      if (index > 0) io.out('');
      showLetter(asked, each);
      if (payload) io.out(`\n${bodyText(each.letter)}`);
    }
  }
  return missing(subjects, found).length === 0 ? 0 : 1;
}

function showLetter({ io }: Asked, found: Found): void {
  const { letter } = found;
  facts(io, [
    ['dead letter', letter.id],
    ['on', letter.stream],
    ['came from', `${letter.origin}${letter.originalId === null ? '' : ` ${letter.originalId}`}`],
    ['message id', letter.messageId],
    ['type', letter.messageType],
    ['handler', handlerOf(found)],
    ['group', letter.group],
    ['consumer', letter.consumer],
    ['given up', `${letter.failedAt ?? ''} (${span(letter.ageMs)} ago)`.trimStart()],
    ['cause', causeOf(letter)],
    ['attempts', letter.attempts === null ? null : String(letter.attempts)],
  ]);
  if (letter.history.length > 0) {
    const rows = letter.history.map(({ time, consumer, errorType, errorMessage }, index) => [
      String(index + 1),
      time ?? '-',
      consumer ?? '-',
      `${errorType ?? 'Error'}: ${errorMessage ?? ''}`,
    ]);
    io.out(`\n${table(io, ['TRY', 'TIME', 'CONSUMER', 'ERROR'], rows)}`);
  }
  if (letter.errorStack !== null) {
    // A stack is lines; each of them is a cell, so that nothing in it reaches the terminal as a command.
    const [first = '', ...lines] = letter.errorStack.split('\n');
    io.out('');
    facts(
      io,
      [first, ...lines].map((line) => [line.replaceAll('\t', '  '), '']),
    );
  }
}

/** A letter in the JSON of every subcommand: without its payload. */
export const letterOf = (found: Found): JsonObject => {
  const { letter } = found;
  return {
    broker: found.source.letters.broker,
    stream: letter.stream,
    id: letter.id,
    origin: letter.origin,
    original_id: letter.originalId,
    message_id: letter.messageId,
    message_type: letter.messageType,
    handler: handlerOf(found),
    group: letter.group,
    consumer: letter.consumer,
    failed_at: letter.failedAt,
    age_ms: letter.ageMs,
    attempts: letter.attempts,
    reason: letter.reason,
    error_type: letter.errorType,
    error_message: letter.errorMessage,
    error_stack: letter.errorStack,
    history: letter.history.map(({ time, consumer, errorType, errorMessage }) => ({
      time,
      consumer,
      error_type: errorType,
      error_message: errorMessage,
    })),
  };
};

function causeOf({ errorType, reason, errorMessage }: DeadLetter): string {
  if (errorType === null && errorMessage === null) return reason ?? 'not said';
  return `${errorType ?? 'Error'}: ${errorMessage ?? ''}`;
}

/** What the handler was given, as text. */
const bodyText = (letter: DeadLetter): string => (originalBody(letter.body) ?? letter.body).toString();
