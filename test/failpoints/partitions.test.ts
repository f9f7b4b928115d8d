import { after, before, describe } from 'node:test';
import type { Order, PartitionLaboratory } from './partition-laboratory.ts';
import { partitionLaboratory } from './partition-laboratory.ts';
import { tryAll } from './table.ts';

const none = { kill: 0, throw: 0, hang: 0, second: 0 };

describe('an owner of keys', () => {
  let lab: PartitionLaboratory;
  before(async () => {
    lab = await partitionLaboratory();
  });
  after(() => lab?.end());

  tryAll<Order>('partitions: one message of a new key, how often more than once its handler began', () => lab, [
    { point: 'before ownership of a key', work: 'plain', duplicates: none },
    { point: 'after ownership of a key', work: 'plain', duplicates: none },
    {
      point: 'after read of a key',
      work: 'plain',
      duplicates: none,
      why: 'nothing begins under a lease that has run out',
    },
    {
      point: 'before commit',
      work: 'plain',
      duplicates: { kill: 1, throw: 1, hang: 0, second: 1 },
      why: 'begun and not committed',
    },
    {
      point: 'after commit',
      work: 'plain',
      duplicates: { kill: 1, throw: 1, hang: 0, second: 1 },
      why: 'the inbox knows it: the second start has no effect',
    },
    {
      point: 'before acknowledgement',
      work: 'plain',
      duplicates: { kill: 1, throw: 0, hang: [0, 1], second: 1 },
      why: 'what nobody speaks of for five heartbeats is read again, unless it is the read that carries it',
    },
    { point: 'after acknowledgement', work: 'plain', duplicates: none },
    {
      point: 'before retry',
      work: 'fails once',
      duplicates: { kill: 1, throw: 0, hang: 0, second: 1 },
      why: 'a failure that was not written down is not counted',
    },
    { point: 'after retry', work: 'fails once', duplicates: none },
    {
      point: 'before dead letter',
      work: 'fails for good',
      duplicates: { kill: 1, throw: 0, hang: 0, second: 1 },
      deadLetters: 1,
    },
    { point: 'after dead letter', work: 'fails for good', duplicates: none, deadLetters: 1 },
    { point: 'before renewal of keys', work: 'plain', duplicates: none },
    { point: 'after renewal of keys', work: 'plain', duplicates: none },
  ]);
});
