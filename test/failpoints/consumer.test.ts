import { after, before, describe } from 'node:test';
import type { ConsumerLaboratory, Job } from './consumer-laboratory.ts';
import { consumerLaboratory } from './consumer-laboratory.ts';
import { tryAll } from './table.ts';

const none = { kill: 0, throw: 0, hang: 0, second: 0 };

describe('a consumer', () => {
  let lab: ConsumerLaboratory;
  before(async () => {
    lab = await consumerLaboratory();
  });
  after(() => lab?.end());

  tryAll<Job>('consumer: one message, how often more than once its handler began', () => lab, [
    {
      point: 'after read',
      work: 'plain',
      duplicates: { kill: 0, throw: 0, hang: [0, 1], second: 1 },
      why: 'what is in hand and not begun is protected by no heartbeat; it is whose search for the dead looks first',
    },
    {
      point: 'before commit',
      work: 'plain',
      duplicates: { kill: 1, throw: 1, hang: 0, second: 1 },
      why: 'heartbeats keep what a handler that takes long has in hand',
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
      why: 'what is done is protected by heartbeats no longer; it is whose search for the dead looks first',
    },
    { point: 'after acknowledgement', work: 'plain', duplicates: none },
    {
      point: 'before retry',
      work: 'fails once',
      duplicates: { kill: 1, throw: 0, hang: 0, second: 1 },
      why: 'a failure that was not written down is not counted',
    },
    { point: 'after retry', work: 'fails once', duplicates: none },
    { point: 'before retake', work: 'fails once', duplicates: none },
    {
      point: 'after retake',
      work: 'fails once',
      duplicates: { ...none, second: 1 },
      why: 'it had been taken over before the late one began',
    },
    {
      point: 'before dead letter',
      work: 'fails for good',
      duplicates: { kill: 1, throw: 0, hang: 0, second: 1 },
      deadLetters: 1,
    },
    { point: 'after dead letter', work: 'fails for good', duplicates: none, deadLetters: 1 },
    {
      point: 'before heartbeat',
      work: 'slow',
      duplicates: { kill: 1, throw: 0, hang: 1, second: 1 },
      why: 'a heartbeat that hangs for longer than an entry is left alone protects nothing',
    },
    { point: 'after heartbeat', work: 'slow', duplicates: { kill: 1, throw: 0, hang: 1, second: 1 } },
    {
      point: 'after reclaim',
      work: 'plain',
      first: 'before commit',
      duplicates: { kill: 1, throw: 1, hang: 2, second: 2 },
      why: 'one start was that of the process that died first',
    },
    {
      point: 'before start',
      work: 'plain',
      first: 'before commit',
      duplicates: { kill: 1, throw: 1, hang: 1, second: [1, 2] },
    },
    {
      point: 'after start',
      work: 'plain',
      first: 'before commit',
      duplicates: { kill: 1, throw: 1, hang: 1, second: [1, 2] },
    },
  ]);
});
