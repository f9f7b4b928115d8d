import type { Broker } from '../broker/broker.ts';
import type { Config } from '../config/config.ts';
import type { HandleNow } from '../handler/handle-now.ts';
import type { Raised } from '../handler/raised.ts';
import type { Catalog } from '../message/catalog.ts';
import { openCatalog } from '../message/catalog.ts';
import type { JsonObject } from '../message/message.ts';
import { categoryOf, commandCategory } from '../message/stream-name.ts';
import type { Database } from '../providers.ts';
import { DomaindError, MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Accept, IngressCommandOptions, IngressEventOptions } from '../telemetry/accept.ts';

/** What messages from outside are written to: the outbox of the default database, and the default broker. */
export interface Destinations {
  readonly databases: ReadonlyMap<string, Database>;
  readonly brokers: ReadonlyMap<string, Broker>;
}

/** Takes commands and events into the outbox, checked by the catalog, and external messages to their streams. */
export function createAccept(
  config: Config,
  { databases, brokers }: Destinations,
  catalog: Catalog = openCatalog,
  handleNow: HandleNow | null = null,
): Accept {
  const { normalized } = config.domain;

  async function write(raised: Raised, stream: string) {
    const checked = catalog.outgoing(raised);
    const handled = handleNow === null ? null : await handleNow(checked);
    if (handled !== null) return { messageId: handled.messageId, stream, handled: { value: handled.value } };
    const [messageId] = await defaultOf(databases, 'databases').write([checked]);
    if (messageId === undefined) throw new DomaindError('not_written', 'the outbox gave no message id');
    return { messageId, stream };
  }

  return {
    command(name, category, data, options) {
      const full = categoryOf(normalized, category);
      const raised: Raised = {
        kind: 'COMMAND',
        name,
        category: full,
        id: options.id,
        dataText: JSON.stringify(data),
        options: commandOptions(options),
      };
      return write(raised, commandCategory(full));
    },
    event(name, category, id, data, options) {
      const full = categoryOf(normalized, category);
      const raised: Raised = {
        kind: 'EVENT',
        name,
        category: full,
        id,
        dataText: JSON.stringify(data),
        options: eventOptions(options),
      };
      return write(raised, full);
    },
    async publish(stream, data) {
      const [result] = await defaultOf(brokers, 'brokers').publish([{ stream, body: JSON.stringify(data), key: null }]);
      if (result?.kind === 'confirmed') return { messageId: result.id, stream };
      const why = result?.kind === 'refused' ? result.failure.message : 'no answer';
      throw new UsageError(`the broker refuses the message: ${why}`);
    },
  };
}

function defaultOf<T>(all: ReadonlyMap<string, T>, table: string): T {
  const found = all.get('default') ?? [...all.values()][0];
  if (found === undefined) throw new MisconfiguredError('nothing_configured', `there is no [${table}.default]`);
  return found;
}

const commandOptions = ({ idempotencyKey, deadline, ...options }: IngressCommandOptions): JsonObject => ({
  ...commonOptions(options),
  ...stated({ idempotency_key: idempotencyKey, deadline }),
});

const eventOptions = ({ published, ...options }: IngressEventOptions): JsonObject => ({
  ...commonOptions(options),
  ...stated({ published }),
});

const commonOptions = (options: Pick<IngressCommandOptions, keyof IngressEventOptions & keyof IngressCommandOptions>) =>
  stated({
    version: options.version,
    priority: options.priority,
    partition_key: options.partitionKey,
    correlation_id: options.correlationId,
    traceparent: options.traceparent === null ? null : { ...options.traceparent },
    deliver_at: options.deliverAt,
  });

/** Without the keys that nothing was said of. */
const stated = (options: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
