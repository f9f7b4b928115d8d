import type { Config } from '../config/config.ts';
import type { EventStore } from '../event-store/event-store.ts';
import type { Positions } from '../event-store/positions.ts';
import type { LogFacts } from '../handler/context.ts';
import { createDeadlines } from '../handler/deadlines.ts';
import type { Batch } from '../handler/handler.ts';
import { invokeBatch } from '../handler/invoke-batch.ts';
import type { LoadedHandler } from '../handler/loaded-handler.ts';
import type { Receipts, UnitsOfWork } from '../handler/unit-of-work.ts';
import { withReceipts } from '../handler/unit-of-work.ts';
import type { Catalog } from '../message/catalog.ts';
import { openCatalog } from '../message/catalog.ts';
import { checksumIn, isObject, messageIn } from '../message/codec.ts';
import type { JsonObject, Message } from '../message/message.ts';
import { isSubscriptionStream } from '../message/stream-name.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { UnavailableError } from '../runtime/errors.ts';
import type { Grant } from '../runtime/lease.ts';
import { fenced } from '../subscription/event-store-hold.ts';
import type { WorkerDeps } from './deps.ts';

export interface FastForwardDeps {
  readonly store: EventStore;
  readonly positions: Positions;
  readonly unitsOfWork: UnitsOfWork;
  readonly grant: Grant;
  readonly worker: WorkerDeps;
  readonly onHandled: (count: number) => void;
}

export interface FastForward {
  readonly handler: LoadedHandler;
  readonly batch: Batch;
  readonly category: string;
  /** What the position is kept by. */
  readonly subscription: string;
  readonly originStream: string | null;
  readonly handlerTimeoutMs: Millis;
  /** Up to here. */
  readonly target: bigint;
}

const pagesAhead = 3;
const lookEveryMs: Millis = 200;

/**
 * Takes a batch projector through a log that it has all to itself, from where its position is: page after page, each in one
 * transaction with the position, the next one read meanwhile. Nothing is retried and nothing is passed over: at the first
 * page that does not go through it leaves off, for the loop of all subscriptions to go on message by message.
 */
export async function fastForward(
  asked: FastForward,
  config: Config,
  deps: FastForwardDeps,
  stop: AbortSignal,
): Promise<void> {
  const { handler, batch, category, subscription, originStream, handlerTimeoutMs, target } = asked;
  const { store, positions, unitsOfWork, grant, worker, onHandled } = deps;
  const { clock, handlerLog, catalog = openCatalog } = worker;
  const token = BigInt(grant.token);
  if (originStream !== null) return;
  const until = await settledTo(store, category, target, clock, stop);
  const read = async (from: bigint) => JSON.parse(await store.readJson(category, from, batch.size)) as readonly Entry[];
  let position = (await positions.look(subscription))?.position ?? -1n;
  const receipts: Receipts = {
    fresh: async (entryIds) => entryIds.map(() => true),
    async record(sql) {
      if (!grant.trusted()) throw new UnavailableError('lease_lost', `${subscription} may have another owner by now`);
      const outcome = await positions.record(sql, subscription, token, { position, done: [], mended: [] });
      if (outcome === 'fenced') throw fenced(subscription);
      return outcome;
    },
  };
  const deadlines = createDeadlines(handlerTimeoutMs, { clock, hard: stop });
  const invokeDeps = {
    domain: config.domain.normalized,
    config: config.custom,
    unitsOfWork: withReceipts(unitsOfWork, handler.name, receipts),
    log: ({ handler: name, ...facts }: LogFacts) => handlerLog({ subscription: name, ...facts }),
    deadlines,
  };
  const call = { attempt: 1, signal: () => grant.signal };
  try {
    let last = read(position + 1n);
    const pages = [last];
    while (position < until && !stop.aborted) {
      // A few ahead, so that the server reads while this process and its commits are busy.
      while (pages.length < pagesAhead) {
        last = last.then((page) => (page.length === 0 ? page : read(behind(page))));
        last.catch(() => undefined);
        pages.push(last);
      }
      const page = ((await pages.shift()) ?? []).filter(({ at }) => BigInt(at) <= until);
      if (page.length === 0) return;
      const messages = givenIn(page, catalog);
      if (messages === null) return;
      position = behind(page) - 1n;
      const items = messages.map(({ message, id }) => ({ incoming: message, call: { ...call, entryId: id } }));
      const outcomes = await invokeBatch(handler.name, batch, items, invokeDeps);
      if (outcomes?.every(({ kind }) => kind === 'done') !== true) return;
      onHandled(items.length);
    }
  } finally {
    deadlines.close();
  }
}

/** Where the next page begins. */
const behind = (page: readonly Entry[]): bigint => BigInt(page.at(-1)?.at ?? 0) + 1n;

/** Up to where nothing more will appear: the target, once those are over who may still commit below it. */
async function settledTo(
  store: EventStore,
  category: string,
  target: bigint,
  clock: Clock,
  stop: AbortSignal,
): Promise<bigint> {
  const { head, writers } = await store.horizon(category);
  for (let left = writers; left.length > 0 && !stop.aborted; left = await store.running(left)) {
    await clock.sleep(lookEveryMs, stop);
  }
  return head < target ? head : target;
}

/** One message of a page. */
interface Entry extends JsonObject {
  readonly stream: string;
  readonly position: number;
  /** The global position. */
  readonly at: string;
}

interface Given {
  readonly id: string;
  readonly message: Message;
}

/** The messages of a page as handlers see them; null where one cannot be read, which is for the loop to deal with. */
function givenIn(page: readonly Entry[], catalog: Catalog): readonly Given[] | null {
  const found: Given[] = [];
  try {
    for (const entry of page) {
      const { stream, position, at, metadata } = entry;
      if (!isObject(metadata) || isSubscriptionStream(stream)) continue;
      const message = messageIn(entry);
      // Verified on its text, which is not at hand here.
      if (checksumIn(message) !== null) return null;
      const { kind, asynchronous } = message.metadata.domain;
      if ((kind !== 'EVENT' && kind !== 'COMMAND') || asynchronous === false) continue;
      const place = { position, global_position: Number(at) };
      const placed = { ...message, metadata: { ...message.metadata, event_store: place } };
      found.push({ id: at, message: catalog.incoming(placed) });
    }
    return found;
  } catch {
    return null;
  }
}
