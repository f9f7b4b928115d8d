import type { Blocked, PartitionState, PartitionView } from '../broker/partition.ts';
import { isObject } from '../message/codec.ts';
import { deadLettersOf } from '../message/stream-name.ts';
import { systemClock } from '../runtime/clock.ts';
import { DomaindError, UsageError } from '../runtime/errors.ts';
import { composeDeadLetter } from '../subscription/dead-letter.ts';
import { partitionViews } from '../worker/partition-inspection.ts';
import type { PlanRow } from '../worker/plan.ts';
import type { Arguments } from './arguments.ts';
import type { Io } from './io.ts';
import { table } from './listing.ts';
import { span } from './spans.ts';
import type { Scene } from './status-facts.ts';

interface Found extends PartitionState {
  readonly handler: string;
  readonly category: string;
}

const headings = ['HANDLER', 'CATEGORY', 'KEY', 'OWNER', 'LAG', 'PENDING', 'OLDEST', 'BLOCKED SINCE', 'BY', 'ERROR'];

/** `domaind subscriptions partitions [--blocked]`: every key with its owner, how far behind it is, and whether it stands still. */
export async function showPartitions(
  scene: Scene,
  rows: readonly PlanRow[],
  given: Arguments,
  io: Io,
): Promise<number> {
  for (const each of scene.hidden) io.err(each);
  const all = await Promise.all(rows.map((row) => statesOf(scene, row)));
  const found = all.flat().filter(({ blocked }) => blocked !== null || !given.flag('blocked'));
  if (found.length === 0 && !given.flag('json')) {
    io.out(given.flag('blocked') ? 'no partition stands still' : 'no partitions');
    return 0;
  }
  if (given.flag('json')) io.out(JSON.stringify(found.map(jsonOf), null, 2));
  else io.out(table(io, headings, found.map(cells)));
  return 0;
}

async function statesOf(scene: Scene, row: PlanRow): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const [category, view] of viewsOf(scene, row)) {
    for (const state of await view.states()) found.push({ handler: row.handler.name, category, ...state });
  }
  return found.sort((one, other) => one.key.localeCompare(other.key));
}

function viewsOf({ config, providers }: Scene, row: PlanRow): ReadonlyMap<string, PartitionView> {
  const { broker } = row.handler;
  if (config.brokers.get(broker)?.provider === 'inline') return new Map();
  return partitionViews(row, config, providers.broker(broker));
}

const cells = ({ handler, category, key, owner, lag, pending, oldestPendingMs, blocked }: Found): readonly string[] => [
  handler,
  category,
  key,
  owner ?? '-',
  String(lag),
  String(pending),
  oldestPendingMs === null ? '-' : span(oldestPendingMs),
  blocked?.since ?? '-',
  blocked?.entryId ?? '-',
  blocked === null ? '-' : `${blocked.errorType}: ${blocked.errorMessage}`,
];

const jsonOf = ({
  handler,
  category,
  key,
  owner,
  generation,
  lag,
  lagMs,
  pending,
  oldestPendingMs,
  blocked,
}: Found) => ({
  handler,
  category,
  key,
  owner,
  generation,
  lag,
  lag_ms: lagMs,
  pending,
  oldest_pending_ms: oldestPendingMs,
  blocked: blocked === null ? null : blockedJson(blocked),
});

const blockedJson = ({ stream, entryId, since, errorType, errorMessage }: Blocked) => ({
  stream,
  entry_id: entryId,
  since,
  error_type: errorType,
  error_message: errorMessage,
});

/**
 * `domaind subscriptions skip|dlq HANDLER KEY`: acknowledges the message that a key stands still behind, or moves it to the
 * dead letters, once; its owner goes on with the next.
 */
export async function unblockPartition(
  what: 'skip' | 'dlq',
  scene: Scene,
  row: PlanRow,
  key: string,
  given: Arguments,
  io: Io,
): Promise<number> {
  const { handler } = row;
  if (row.partitions === null) throw new UsageError(`${handler.name} reads no partitions: it has no sequential_by`);
  const views = viewsOf(scene, row);
  if (views.size === 0) throw new UsageError(scene.hidden.join('\n'));
  for (const view of views.values()) {
    const blocking = await view.blocking(key);
    if (blocking === null) continue;
    const { delivery, blocked } = blocking;
    const stream = deadLettersOf(delivery.stream);
    const moved = await view.unblock(key, blocked, what === 'skip' ? null : { stream, body: letterOf(row, blocking) });
    if (!moved) break;
    const said = what === 'skip' ? 'skipped' : `moved to ${stream}`;
    const json = { handler: handler.name, key, entry_id: delivery.id, stream: delivery.stream, done: what };
    io.out(given.flag('json') ? JSON.stringify(json) : `${delivery.stream} ${delivery.id}: ${said}`);
    return 0;
  }
  throw new DomaindError('not_blocked', `${handler.name}: the partition ${JSON.stringify(key)} does not stand still`);
}

/** The letter that the daemon would write: the last attempt is the one that the key stands still behind. */
function letterOf(
  { handler }: PlanRow,
  { blocked, delivery }: NonNullable<Awaited<ReturnType<PartitionView['blocking']>>>,
): string {
  const error = new Error(blocked.errorMessage);
  error.name = blocked.errorType;
  delete error.stack;
  return composeDeadLetter(delivery, {
    group: handler.group,
    consumer: 'domaind subscriptions dlq',
    handler: handler.name,
    messageId: messageIdIn(delivery.body),
    failedAt: new Date(systemClock.now()).toISOString().replace('Z', '+00:00'),
    error,
  });
}

function messageIdIn(body: string): string | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return null;
  }
  const metadata = isObject(parsed) ? parsed['metadata'] : null;
  const headers = isObject(metadata) ? metadata['headers'] : null;
  const id = isObject(headers) ? headers['id'] : null;
  return typeof id === 'string' ? id : null;
}
