import type { Broker, Consumer, Delivery, Settlement } from '../../../src/broker/broker.ts';
import type { PartitionBroker, Partitions } from '../../../src/broker/partition.ts';
import { between, passing } from './passing.ts';

const names: Readonly<Record<Settlement['kind'], string>> = {
  ack: 'acknowledgement',
  retry: 'retry',
  dead_letter: 'dead letter',
  give_back: 'return',
  halt: 'halt',
};

const some = (deliveries: readonly Delivery[]) => deliveries.length > 0;

/** Around a call that makes settlements: the points of the first kind among them. */
async function settling<T>(kind: Settlement['kind'] | undefined, call: () => Promise<T>): Promise<T> {
  return kind === undefined ? call() : between(names[kind], call);
}

export function struckBroker(broker: Broker): Broker {
  const { partitions } = broker;
  return {
    ...broker,
    partitions: partitions === null ? null : struckPartitionBroker(partitions),
    publish: (entries, wait) =>
      entries.length === 0
        ? broker.publish(entries, wait)
        : between('publication', () => broker.publish(entries, wait)),
    consume: async (options) => struckConsumer(await broker.consume(options)),
  };
}

function struckConsumer(consumer: Consumer): Consumer {
  return {
    ...consumer,
    async read(request) {
      const deliveries = await settling(request.acks.length > 0 ? 'ack' : undefined, () => consumer.read(request));
      if (some(deliveries)) await passing('after read');
      return deliveries;
    },
    settle: (settlements) => settling(settlements[0]?.kind, () => consumer.settle(settlements)),
    recordStart: (delivery) => between('start', () => consumer.recordStart(delivery)),
    retake: (held) => between('retake', () => consumer.retake(held)),
    heartbeat: (held) => between('heartbeat', () => consumer.heartbeat(held)),
    async reclaim(count, minIdleMs) {
      const found = await consumer.reclaim(count, minIdleMs);
      if (some(found.deliveries)) await passing('after reclaim');
      return found;
    },
  };
}

function struckPartitionBroker(broker: PartitionBroker): PartitionBroker {
  return { ...broker, open: (options) => struckPartitions(broker.open(options)) };
}

function struckPartitions(partitions: Partitions): Partitions {
  return {
    ...partitions,
    acquire: (keys, limit) =>
      between(
        'ownership of a key',
        () => partitions.acquire(keys, limit),
        (taken) => taken.length > 0,
      ),
    async renew(leases) {
      if (leases.length === 0) return partitions.renew(leases);
      return between('renewal of keys', () => partitions.renew(leases));
    },
    async read(requests) {
      const replies = await partitions.read(requests);
      if (replies.some(({ deliveries }) => some(deliveries))) await passing('after read of a key');
      return replies;
    },
    settle: (settlements) => settling(settlements[0]?.thing.kind, () => partitions.settle(settlements)),
    recordStart: (delivery) => between('start', () => partitions.recordStart(delivery)),
  };
}
