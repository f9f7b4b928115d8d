import { randomUUID } from 'node:crypto';
import type { DomainConfig } from '../config/config.ts';
import { composeBody, decode } from '../message/codec.ts';
import type { Composed } from '../message/compose.ts';
import { compose, isoTime } from '../message/compose.ts';
import type { Message } from '../message/message.ts';
import { commandCategory } from '../message/stream-name.ts';
import type { Clock } from '../runtime/clock.ts';
import { ConfigError } from '../runtime/errors.ts';
import type { ContextDeps, Root } from './context.ts';
import { contextOf, createScope } from './context.ts';
import type { HandlerFunction } from './handler.ts';
import type { LoadedHandler } from './loaded-handler.ts';
import type { Raised } from './raised.ts';
import type { UnitOfWork } from './unit-of-work.ts';

export interface InProcessConfig {
  readonly domain: DomainConfig;
  /** `command_processing = "sync"`. */
  readonly commands: boolean;
  /** `event_processing = "sync"`. */
  readonly events: boolean;
  /** Whether what nobody here handles can go to an outbox. */
  readonly outbox: boolean;
}

/** What is handled where it comes about, in the same process and the same transaction, rather than by way of the outbox. */
export interface InProcess {
  /** The handler of a command; null: it goes to the outbox. */
  commandHandler(command: Raised): LoadedHandler | null;
  /** A command that came from outside is taken up. */
  taken(command: Raised): void;
  /** The message as its handlers are to see it, the same id whenever it is asked for anew. */
  composed(raised: Raised): { readonly messageId: string; readonly message: () => Message };
  /** For one unit of work: takes what is raised and sent in it. */
  begin(deps: ContextDeps, work: () => UnitOfWork, signal: () => AbortSignal): Root;
}

/**
 * Handlers of commands are called at once, those of events when the work is done, before the commit, in the order in which
 * the events were raised; what they raise themselves comes after. A failure of any of them is a failure of the whole,
 * whoever catches it. What is to wait (`deliverAt`), is for other brokers too (`published`) or has no handler here goes the
 * way of the outbox. Throws ConfigError where handlers are on several databases, for then there is no one transaction.
 */
export function createInProcess(
  { domain, commands, events, outbox }: InProcessConfig,
  handlers: readonly LoadedHandler[],
  { clock, onTaken }: { readonly clock: Clock; readonly onTaken?: (message: Raised) => void },
): InProcess {
  const concerned = handlers.filter(({ kind }) => (kind === 'command_handler' ? commands : kind !== 'subscriber'));
  refuseSeveralDatabases(concerned);
  let count = 0;

  const isForNow = ({ options }: Raised): boolean =>
    options['deliver_at'] === undefined && options['published'] !== true;

  function commandHandler(command: Raised): LoadedHandler | null {
    if (!commands || command.kind !== 'COMMAND' || !isForNow(command)) return null;
    const category = commandCategory(command.category);
    const all = concerned.filter(({ kind, categories }) => kind === 'command_handler' && categories.includes(category));
    return all.find(({ handles }) => handles.has(command.name) || handles.has('$any')) ?? null;
  }

  const eventHandlers = (event: Raised): readonly LoadedHandler[] =>
    concerned.filter(
      ({ kind, categories, handles }) =>
        kind !== 'command_handler' &&
        categories.includes(event.category) &&
        (handles.has(event.name) || handles.has('$any')),
    );

  function composed(raised: Raised) {
    count += 1;
    const { normalized, camel } = domain;
    const made: Composed = compose(raised, {
      normalized,
      camel,
      time: isoTime(clock.now()),
      uuid: uuidVersion8(),
      sequence: String(BigInt(Math.floor(clock.now())) * 1_000_000n + BigInt(count % 1_000_000)),
    });
    const body = composeBody(raised.dataText, JSON.stringify(made.metadata));
    return { messageId: made.messageId, message: () => decode(body) };
  }

  function begin(deps: ContextDeps, work: () => UnitOfWork, signal: () => AbortSignal): Root {
    const raised: { readonly handlers: readonly LoadedHandler[]; readonly message: () => Message }[] = [];
    const underWay = new Set<Promise<unknown>>();
    let failure: { readonly thrown: unknown } | null = null;

    async function call(name: string, run: HandlerFunction, message: Message): Promise<unknown> {
      const scope = createScope(name, message, { entryId: message.id, attempt: 1, signal }, deps);
      scope.work = work();
      scope.root = root;
      try {
        // A border: what was raised is what the function says it takes.
        return await run(message as never, contextOf(scope));
      } catch (thrown) {
        failure ??= { thrown };
        throw thrown;
      } finally {
        scope.ended = true;
      }
    }

    async function callEach({ name, handles }: LoadedHandler, message: () => Message): Promise<unknown> {
      const found = handles.get(message().name) ?? handles.get('$any');
      if (found === undefined) return undefined;
      if (typeof found === 'function') return call(name, found, message());
      for (const run of found.values()) await call(name, run, message());
      return undefined;
    }

    const root: Root = {
      raise(event) {
        if (!events || !isForNow(event)) return null;
        const takers = eventHandlers(event);
        if (takers.length === 0 && outbox) return null;
        onTaken?.(event);
        const { messageId, message } = composed(event);
        raised.push({ handlers: takers, message });
        return messageId;
      },
      process(command) {
        const handler = commandHandler(command);
        if (handler === null) return null;
        onTaken?.(command);
        const handled = callEach(handler, composed(command).message);
        underWay.add(handled);
        // The caller may not await it; the commit does.
        handled.then(
          () => underWay.delete(handled),
          () => underWay.delete(handled),
        );
        return handled;
      },
      async settle() {
        for (;;) {
          await Promise.allSettled(underWay);
          if (failure !== null) throw failure.thrown;
          const next = raised.shift();
          if (next !== undefined) for (const handler of next.handlers) await callEach(handler, next.message);
          else if (underWay.size === 0) return;
        }
      },
    };
    return root;
  }

  return { commandHandler, composed, begin, taken: (command) => onTaken?.(command) };
}

/** Version 8 tells that the id is unique to this side. */
const uuidVersion8 = (): string => randomUUID().replace(/^(.{14})./, '$18');

function refuseSeveralDatabases(handlers: readonly LoadedHandler[]): void {
  const [first] = handlers;
  const faults = handlers
    .filter(({ database }) => database !== first?.database)
    .map(({ exportName, place, database }) => ({
      code: 'conflict',
      where: place,
      message: `${exportName}: is on database ${database} and ${first?.exportName} on ${first?.database}: with command_processing or event_processing = "sync" all are one transaction, so they need one database`,
    }));
  if (faults.length > 0) throw new ConfigError(faults);
}
