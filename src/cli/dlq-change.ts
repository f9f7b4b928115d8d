import { originalBody, payloadIn, withPayload } from '../broker/dead-letters.ts';
import { jsonFault } from '../message/json-fault.ts';
import { systemClock } from '../runtime/clock.ts';
import { DomaindError, UsageError } from '../runtime/errors.ts';
import type { Asked, Found, Source } from './dlq-asked.ts';
import { filterIn, handlerOf, lettersIn, lettersNamed, missing } from './dlq-asked.ts';
import { editText } from './edit-text.ts';
import { table } from './listing.ts';
import { createProgress } from './progress.ts';
import { paceIn, span } from './spans.ts';

/** A letter without its body: of these, many may be held at once. */
interface Chosen {
  readonly source: Source;
  readonly id: string;
  readonly group: string | null;
  readonly handler: string | null;
  readonly messageId: string | null;
  readonly ageMs: number;
}

/** `domaind dlq replay ID… | --all`: to the group that failed, and to no other. */
export async function replayDeadLetters(asked: Asked): Promise<number> {
  const { given, io, shutdown, subjects, usage } = asked;
  const rate = given.text('rate');
  const paceMs = rate === null ? 0 : paceIn(rate, '--rate');
  if (given.flag('all') === subjects.length > 0) throw new UsageError(`IDs or --all are needed\nusage: ${usage}`);
  const { chosen, left } = await choose(asked);
  const able = chosen.filter((each) => refusal(each) === null);
  for (const each of chosen) {
    const why = refusal(each);
    if (why !== null) io.err(`${each.id} on ${each.source.stream}: ${why}`);
  }
  const refused = left + chosen.length - able.length;
  if (given.flag('dry-run')) return dryRun(asked, 'replayed', able, refused);
  const edited = given.flag('edit') ? await editOne(asked, able) : null;
  const groups = new Map<string, number>();
  const progress = createProgress('replayed', io);
  let [replayed, gone] = [0, 0];
  const startedAt = systemClock.monotonic();
  try {
    for (const [index, { source, id, group }] of able.entries()) {
      if (paceMs > 0) await systemClock.sleep(startedAt + index * paceMs - systemClock.monotonic(), shutdown.soft);
      if (shutdown.soft.aborted) break;
      const body = edited ?? (await bodyOf(source, id));
      const moved =
        body !== null && group !== null && (await source.letters.replay({ stream: source.stream, id }, group, body));
      if (moved) {
        replayed += 1;
        groups.set(group, (groups.get(group) ?? 0) + 1);
      } else gone += 1;
      progress.at(replayed + gone, able.length);
    }
  } finally {
    progress.end();
  }
  const rest = able.length - replayed - gone;
  if (given.flag('json')) {
    io.out(JSON.stringify({ replayed, gone, refused, left: rest, groups: Object.fromEntries(groups) }));
  } else {
    const to = [...groups].map(([group, count]) => `${count} to ${group}`).join(', ');
    io.out(`${counted(replayed)} replayed${to === '' ? '' : `: ${to}`}`);
  }
  if (gone > 0) io.err(`${gone} were gone: somebody else replayed or purged them`);
  if (rest > 0) io.err(`stopped with ${rest} left; the same command goes on`);
  return rest > 0 || refused > 0 ? 1 : 0;
}

/** `domaind dlq purge ID… | --older-than D | --all --yes`. */
export async function purgeDeadLetters(asked: Asked): Promise<number> {
  const { given, io, shutdown, subjects, usage } = asked;
  const whole = given.flag('all');
  if (subjects.length === 0 && !whole && given.text('older-than') === null) {
    throw new UsageError(`IDs, --older-than or --all are needed\nusage: ${usage}`);
  }
  if (subjects.length > 0 && whole) throw new UsageError(`IDs or --all, not both\nusage: ${usage}`);
  const { chosen, left } = await choose(asked);
  if (given.flag('dry-run')) return dryRun(asked, 'purged', chosen, left);
  if (whole && !given.flag('yes') && chosen.length > 0) {
    io.err(`${counted(chosen.length)} would be deleted for good: say --yes where that is meant`);
    return 1;
  }
  const progress = createProgress('purged', io);
  let [purged, looked] = [0, 0];
  try {
    for (const [source, letters] of bySource(chosen)) {
      for (let from = 0; from < letters.length && !shutdown.soft.aborted; from += batchSize) {
        const ids = letters.slice(from, from + batchSize).map(({ id }) => id);
        purged += await source.letters.remove(source.stream, ids);
        looked += ids.length;
        progress.at(looked, chosen.length);
      }
    }
  } finally {
    progress.end();
  }
  if (given.flag('json')) io.out(JSON.stringify({ purged }));
  else io.out(`${counted(purged)} purged`);
  return left > 0 || looked < chosen.length ? 1 : 0;
}

const batchSize = 500;

/** Those named or those that fit, without their bodies; and how many that were named are not there. */
async function choose(asked: Asked): Promise<{ readonly chosen: readonly Chosen[]; readonly left: number }> {
  const filter = filterIn(asked);
  const light = (found: Found): Chosen => {
    const { id, group, messageId, ageMs } = found.letter;
    return { source: found.source, id, group, handler: handlerOf(found), messageId, ageMs };
  };
  if (asked.subjects.length > 0) {
    const found = await lettersNamed(asked, filter);
    return { chosen: found.map(light), left: missing(asked.subjects, found).length };
  }
  const chosen: Chosen[] = [];
  for await (const found of lettersIn(asked, filter)) chosen.push(light(found));
  return { chosen, left: 0 };
}

function refusal({ source, group }: Chosen): string | null {
  if (group === null) return 'it does not say which group failed';
  if (source.handlers === null || source.handlers.has(group)) return null;
  return `no handler reads it in the group ${group}; --no-handlers replays it nonetheless`;
}

async function bodyOf({ letters, stream }: Source, id: string): Promise<Buffer | null> {
  const [letter] = await letters.read({ stream, from: id, to: id, count: 1 });
  return letter === undefined ? null : originalBody(letter.body);
}

async function editOne({ io, usage }: Asked, chosen: readonly Chosen[]): Promise<Buffer> {
  const [only, ...more] = chosen;
  if (only === undefined || more.length > 0) throw new UsageError(`--edit takes one dead letter\nusage: ${usage}`);
  const body = (await bodyOf(only.source, only.id))?.toString() ?? '';
  const payload = payloadIn(body);
  const isJson = jsonFault(payload) === null;
  const { text, keep } = await editText(isJson ? JSON.stringify(JSON.parse(payload), null, 2) : payload, io);
  const fault = jsonFault(text);
  if (fault !== null) {
    const place = await keep();
    throw new DomaindError(
      'invalid_json',
      `${place}:${fault.line}:${fault.column} this is not JSON; nothing is replayed`,
    );
  }
  return Buffer.from(withPayload(body, JSON.stringify(JSON.parse(text))));
}

function dryRun({ given, io }: Asked, verb: string, chosen: readonly Chosen[], refused: number): number {
  if (given.flag('json')) {
    const letters = chosen.map(({ source, id, group, messageId }) => ({
      broker: source.letters.broker,
      stream: source.stream,
      id,
      group,
      message_id: messageId,
    }));
    io.out(JSON.stringify({ dry_run: true, dead_letters: letters, refused }, null, 2));
    return refused > 0 ? 1 : 0;
  }
  io.out(`${counted(chosen.length)} would be ${verb}`);
  if (chosen.length > 0) {
    const rows = chosen.map(({ source, id, handler, group, ageMs }) => [
      id,
      span(ageMs),
      handler ?? group ?? '-',
      source.stream,
    ]);
    io.out(`\n${table(io, ['ID', 'AGE', 'HANDLER', 'STREAM'], rows)}`);
  }
  return refused > 0 ? 1 : 0;
}

function bySource(chosen: readonly Chosen[]): ReadonlyMap<Source, readonly Chosen[]> {
  const all = new Map<Source, Chosen[]>();
  for (const each of chosen) {
    const others = all.get(each.source);
    if (others === undefined) all.set(each.source, [each]);
    else others.push(each);
  }
  return all;
}

const counted = (count: number): string => `${count} dead letter${count === 1 ? '' : 's'}`;
