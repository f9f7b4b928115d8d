import type { StoredMessage } from '../event-store/event-store.ts';
import { everything } from '../event-store/event-store.ts';
import type { Json } from '../message/message.ts';
import { categoryOf, snapshotStreamOf, streamOf } from '../message/stream-name.ts';
import { UsageError } from '../runtime/errors.ts';
import type { Asked } from './events-asked.ts';
import { subjectIn } from './events-asked.ts';
import { factsOf, jsonOf, nameOf, shortTime } from './events-text.ts';
import { table } from './listing.ts';

const page = 1_000;

/** `domaind events history`: the life of one aggregate, and its newest snapshot. */
export async function eventHistory(asked: Asked): Promise<number> {
  const { given, io, store, config, subjects, usage } = asked;
  const [category, id, ...more] = subjects;
  if (category === undefined || id === undefined) throw new UsageError(`CATEGORY and ID are needed\nusage: ${usage}`);
  if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
  const full = categoryOf(config.domain.normalized, category);
  const stream = streamOf(full, id);
  const messages: StoredMessage[] = [];
  for (let from = 0; ; from += page) {
    const read = await store.readStream(stream, from, page);
    messages.push(...read);
    if (read.length < page) break;
  }
  const snapshot = await store.lastMessage(snapshotStreamOf(full, id), 'SNAPSHOT');
  const snapshotVersion = snapshot === null ? null : versionIn(JSON.parse(snapshot.dataText) as Json);
  const withPayload = given.flag('payload');
  const version = messages.at(-1)?.position ?? -1;
  if (given.flag('json')) {
    const events = messages.map((each) => jsonOf(each, withPayload));
    io.out(JSON.stringify({ stream, version, snapshot_version: snapshotVersion, events }, null, 2));
  } else if (messages.length > 0) {
    const cells = messages.map((each) => [
      String(each.position),
      shortTime(each.time),
      nameOf(each.type),
      factsOf(each).correlationId ?? '-',
      ...(withPayload ? [JSON.stringify(JSON.parse(each.dataText))] : []),
    ]);
    io.out(table(io, ['VERSION', 'TIME', 'TYPE', 'CORRELATION', ...(withPayload ? ['PAYLOAD'] : [])], cells));
    const taken = snapshotVersion === null ? 'no snapshot' : `snapshot at version ${snapshotVersion}`;
    io.out(`\n${stream}: ${messages.length} event${messages.length === 1 ? '' : 's'}, version ${version}, ${taken}`);
  }
  if (messages.length > 0) return 0;
  io.err(`there is no stream ${stream}`);
  return 1;
}

const versionIn = (data: Json): number | null => {
  const version = typeof data === 'object' && data !== null && '_version' in data ? data['_version'] : null;
  return typeof version === 'number' ? version : null;
};

/** A message, and those that it brought about. */
interface Node {
  readonly message: StoredMessage;
  readonly caused: readonly Node[];
}

/** `domaind events trace`: what one request brought about, as a tree of causes. */
export async function traceEvents(asked: Asked): Promise<number> {
  const { given, io, store } = asked;
  const correlationId = subjectIn(asked, 'a CORRELATION_ID');
  const messages: StoredMessage[] = [];
  for (let from = 1n; ; ) {
    const read = await store.readCategory(everything, from, page, { correlationId, originStream: null, type: null });
    messages.push(...read);
    const last = read.at(-1);
    if (read.length < page || last === undefined) break;
    from = last.globalPosition + 1n;
  }
  const withPayload = given.flag('payload');
  const roots = treeOf(messages);
  if (given.flag('json'))
    io.out(
      JSON.stringify(
        roots.map((root) => nodeJson(root, withPayload)),
        null,
        2,
      ),
    );
  else for (const root of roots) showNode(asked, root, '', '');
  if (messages.length > 0) return 0;
  io.err(`nothing in the event store has the correlation id ${correlationId}`);
  return 1;
}

/** By causation; a message whose cause is not among them is a root. Each has its place once, also where ids repeat. */
export function treeOf(messages: readonly StoredMessage[]): readonly Node[] {
  const caused = new Map<string, StoredMessage[]>();
  const roots: StoredMessage[] = [];
  const ids = new Set<string>();
  for (const message of messages) {
    const { messageId, causationId } = factsOf(message);
    // A cause comes before what it brings about; ids of others' commands may repeat, and must not lead in circles.
    if (causationId !== null && ids.has(causationId)) {
      caused.set(causationId, [...(caused.get(causationId) ?? []), message]);
    } else roots.push(message);
    if (messageId !== null) ids.add(messageId);
  }
  const placed = new Set<string>();
  const node = (message: StoredMessage): Node => {
    const { messageId } = factsOf(message);
    const below = messageId === null || placed.has(messageId) ? [] : (caused.get(messageId) ?? []);
    if (messageId !== null) placed.add(messageId);
    return { message, caused: below.map(node) };
  };
  return roots.map(node);
}

function nodeJson({ message, caused }: Node, withPayload: boolean): Json {
  return { ...jsonOf(message, withPayload), caused: caused.map((each) => nodeJson(each, withPayload)) };
}

function showNode(asked: Asked, { message, caused }: Node, first: string, rest: string): void {
  const { io, given } = asked;
  const { kind } = factsOf(message);
  const mark = kind === 'COMMAND' ? 'command' : 'event';
  io.out(`${first}${nameOf(message.type)}  ${mark}  ${message.stream}  ${shortTime(message.time)}`);
  if (given.flag('payload')) io.out(`${rest}    ${JSON.stringify(JSON.parse(message.dataText))}`);
  for (const [index, each] of caused.entries()) {
    const isLast = index === caused.length - 1;
    showNode(asked, each, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`);
  }
}
