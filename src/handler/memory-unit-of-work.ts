import type { Aggregates, AskedAppend } from '../message/aggregate.ts';
import { raisedAppend } from '../message/aggregate.ts';
import type { JsonObject } from '../message/message.ts';
import { MisconfiguredError } from '../runtime/errors.ts';
import { checkCollectionName, checkDocumentId, documentText } from './document.ts';
import { createDocumentLocks } from './document-locks.ts';
import type { Collection } from './handler.ts';
import type { Raised } from './raised.ts';
import type { Occasion, UnitOfWork, UnitOfWorkState, UnitsOfWork } from './unit-of-work.ts';
import {
  appendSeed,
  ClosedError,
  takenMeanwhile as conflict,
  DuplicateError,
  firstOfEach,
  inboxKey,
  noEventStore,
  noOutbox,
} from './unit-of-work.ts';

/** A database of provider `memory`: gone with the process. */
export interface MemoryDatabase {
  /** Its name in domain.toml. */
  readonly name: string;
  /** Texts of JSON by id, by collection. */
  readonly collections: Map<string, Map<string, string>>;
  /** The messages that were handled. */
  readonly inbox: MemoryInbox;
  /** Takes what a handler has raised, in order, at its commit. Must not throw. Null: there is no outbox. */
  readonly onRaised: ((raised: readonly Raised[]) => void) | null;
}

export interface MemoryInbox {
  has(key: string): boolean;
  add(key: string): void;
}

/** Remembers the last 50,000 keys at least, and never more than twice as many: a full half replaces the older one. */
function createMemoryInbox(): MemoryInbox {
  let older = new Set<string>();
  let newer = new Set<string>();
  return {
    has: (key) => newer.has(key) || older.has(key),
    add(key) {
      if (newer.size === 50_000) [older, newer] = [newer, new Set()];
      newer.add(key);
    },
  };
}

export const createMemoryDatabase = (name: string, onRaised: MemoryDatabase['onRaised']): MemoryDatabase => ({
  name,
  collections: new Map(),
  inbox: createMemoryInbox(),
  onRaised,
});

/**
 * Units of work on a database in memory: writes are kept aside until the commit, which applies them at once. Documents
 * are locked as rows are in PostgreSQL.
 */
export function createMemoryUnitsOfWork(database: MemoryDatabase, aggregates: Aggregates | null = null): UnitsOfWork {
  const locks = createDocumentLocks();
  return {
    database: database.name,
    aggregates,
    begin: (occasion) => begin([occasion], database, locks, aggregates),
    beginMany: (occasions) => begin(occasions, database, locks, aggregates),
  };
}

type Locks = ReturnType<typeof createDocumentLocks>;

function begin(
  occasions: readonly Occasion[],
  { name, collections, inbox, onRaised }: MemoryDatabase,
  locks: Locks,
  aggregates: Aggregates | null,
): UnitOfWork {
  const receipts = occasions[0]?.receipts ?? null;
  let entryIds = occasions.map(({ entryId }) => entryId);
  const keys = receipts !== null ? [] : occasions.map((occasion) => `${inboxKey(occasion)} ${occasion.handler}`);
  /** Those that were not handled when it was opened. */
  let fresh: ReadonlySet<string> = new Set(keys);
  const holder = {};
  const writes = new Map<string, Map<string, string | null>>();
  const raised: Raised[] = [];
  const appends: AskedAppend[] = [];
  let state: UnitOfWorkState = 'untouched';

  function end(next: UnitOfWorkState): void {
    state = next;
    locks.release(holder);
  }

  /** Of several messages, one that another try has handled meanwhile takes the rest with it: a conflict. */
  function takenMeanwhile(): boolean {
    if (keys.length === 0) return false;
    const taken = fresh.size === 0 || [...fresh].some((key) => inbox.has(key));
    if (taken && fresh.size > 1) throw conflict();
    return taken;
  }

  function open(): void {
    if (state === 'closed') throw new ClosedError();
    if (state === 'untouched') fresh = new Set(keys.filter((key) => !inbox.has(key)));
    if (state !== 'duplicate' && takenMeanwhile()) end('duplicate');
    if (state === 'duplicate') throw new DuplicateError();
    state = 'open';
  }

  async function lock(collection: string, id: string): Promise<void> {
    checkDocumentId(id);
    open();
    await locks.acquire(`${collection} ${id}`, holder);
    open();
  }

  const committed = (collection: string) => collections.get(collection);

  function write(collection: string, id: string, text: string | null): void {
    const own = writes.get(collection) ?? new Map<string, string | null>();
    writes.set(collection, own.set(id, text));
  }

  const store = (collection: string): Collection => ({
    async get(id) {
      await lock(collection, id);
      const own = writes.get(collection);
      const text = own?.has(id) ? own.get(id) : committed(collection)?.get(id);
      return text == null ? null : parse(text);
    },
    async put(id, value) {
      const text = documentText(collection, id, value);
      await lock(collection, id);
      write(collection, id, text);
    },
    async delete(id) {
      await lock(collection, id);
      write(collection, id, null);
    },
    async list() {
      open();
      const texts = new Map<string, string | null>([
        ...(committed(collection) ?? []),
        ...(writes.get(collection) ?? []),
      ]);
      return [...texts]
        .flatMap(([id, text]) => (text === null ? [] : [{ id, value: parse(text) }]))
        .sort((one, other) => Buffer.compare(Buffer.from(one.id), Buffer.from(other.id)));
    },
  });

  async function writeAppends(to: Aggregates): Promise<void> {
    const { events } = await to.append(appends, appendSeed(occasions));
    if (onRaised !== null) raised.unshift(...events);
  }

  function apply(): void {
    for (const key of fresh) inbox.add(key);
    for (const [collection, texts] of writes) {
      const documents = committed(collection) ?? new Map<string, string>();
      collections.set(collection, documents);
      for (const [id, text] of texts) {
        if (text === null) documents.delete(id);
        else documents.set(id, text);
      }
    }
    if (raised.length > 0) onRaised?.(raised);
  }

  return {
    get state() {
      return state;
    },
    get sql(): never {
      throw new MisconfiguredError(
        'sql_needs_postgresql',
        `ctx.sql needs a database of provider postgresql, and ${name} is of provider memory: ctx.store works on both`,
      );
    },
    store(collection) {
      checkCollectionName(collection);
      return store(collection);
    },
    add(message) {
      open();
      if (aggregates?.raises) appends.push(raisedAppend(message));
      else if (onRaised !== null) raised.push(message);
      else throw noOutbox(name);
    },
    append(asked) {
      open();
      if (aggregates === null) throw noEventStore(name);
      if (asked.events.length > 0) appends.push(asked);
    },
    async claim() {
      if (receipts !== null) {
        const told = await receipts.fresh(entryIds);
        entryIds = entryIds.filter((_, index) => told[index] === true);
        if (!told.includes(true)) end('duplicate');
        return told;
      }
      try {
        open();
      } catch (error) {
        if (state !== 'duplicate') throw error;
      }
      return firstOfEach(keys, state === 'duplicate' ? new Set() : fresh);
    },
    async commit() {
      if (state === 'closed') throw new ClosedError();
      if (state === 'open' && takenMeanwhile()) end('duplicate');
      if (state === 'duplicate') return 'duplicate';
      const touched = state === 'open';
      if (touched && appends.length > 0 && aggregates !== null) await writeAppends(aggregates);
      if (touched && receipts !== null && (await receipts.record(null, entryIds)) === 'duplicate') {
        if (entryIds.length > 1) throw conflict();
        end('duplicate');
        return 'duplicate';
      }
      if (touched) apply();
      end('closed');
      return touched ? 'committed' : 'untouched';
    },
    async rollback() {
      if (state !== 'duplicate') end('closed');
    },
    outageBehind: () => null,
  };
}

const parse = (text: string): JsonObject => JSON.parse(text) as JsonObject;
