import type { Broker, Consumer } from '../../src/broker/broker.ts';
import type { UnitOfWork } from '../../src/handler/unit-of-work.ts';
import type { Outbox } from '../../src/outbox/outbox.ts';
import type { Database, Providers } from '../../src/providers.ts';

/** A promise of the servers, broken, and the invariant whose breach tells of it. */
export interface Sabotage {
  readonly broken: string;
  readonly invariant: string;
  readonly sabotage: (servers: Providers) => Providers;
}

const withBroker =
  (change: (broker: Broker) => Partial<Broker>) =>
  (servers: Providers): Providers => {
    const broker = servers.broker('default');
    const changed = { ...broker, ...change(broker) };
    return { ...servers, brokers: new Map([['default', changed]]), broker: () => changed };
  };

const withConsumer = (change: (consumer: Consumer) => Partial<Consumer>) =>
  withBroker((broker) => ({
    async consume(options) {
      const consumer = await broker.consume(options);
      return { ...consumer, ...change(consumer) };
    },
  }));

const withDatabase =
  (change: (database: Database) => Partial<Database>) =>
  (servers: Providers): Providers => {
    const database = servers.database('default');
    const changed = { ...database, ...change(database) };
    return { ...servers, databases: new Map([['default', changed]]), database: () => changed };
  };

export const sabotages: readonly Sabotage[] = [
  {
    broken: 'a confirmed entry is not on its stream',
    invariant: 'I1',
    sabotage: withBroker(({ publish }) => {
      let count = 0;
      return {
        async publish(entries) {
          count += 1;
          return count % 5 === 0 ? [{ kind: 'confirmed', id: '0-0' }] : publish(entries);
        },
      };
    }),
  },
  {
    broken: 'rows are marked before they are published',
    invariant: 'I1',
    sabotage: withDatabase(({ outbox }) => ({
      outbox: outbox && {
        ...outbox,
        shard(...asked) {
          const shard = outbox.shard(...asked);
          const read: Outbox['read'] = async (request) => {
            const rows = await shard.read(request);
            await shard.published(rows.map(({ id }) => id));
            return rows;
          };
          return { ...shard, read };
        },
      },
    })),
  },
  {
    broken: 'nobody takes over what the dead had in hand',
    invariant: 'I1',
    sabotage: withConsumer(() => ({ reclaim: async () => ({ deliveries: [], lost: [] }) })),
  },
  {
    broken: 'a lease is given to whoever asks',
    invariant: 'I9',
    sabotage: withDatabase(({ leases, outbox, keeping }) => {
      const generous = { ...leases, acquire: async () => '1', renew: async () => true };
      return {
        leases: generous,
        outbox: outbox && { ...outbox, leases: generous },
        keeping: { ...keeping, leases: generous },
      };
    }),
  },
  {
    broken: 'effects are committed without looking whether they were before',
    invariant: 'I4',
    sabotage: withDatabase(({ unitsOfWork }) => {
      let count = 0;
      return {
        unitsOfWork: {
          ...unitsOfWork,
          begin(occasion): UnitOfWork {
            count += 1;
            return unitsOfWork.begin({ ...occasion, messageId: String(count), receipts: null });
          },
        },
      };
    }),
  },
  {
    broken: 'a dead letter is written twice',
    invariant: 'I7',
    sabotage: withBroker((broker) => ({
      async consume(options) {
        const consumer = await broker.consume(options);
        return {
          ...consumer,
          async settle(settlements) {
            for (const each of settlements) {
              if (each.kind !== 'dead_letter') continue;
              await broker.publish([{ stream: each.stream, body: each.body, key: null }]);
            }
            return consumer.settle(settlements);
          },
        };
      },
    })),
  },
];
