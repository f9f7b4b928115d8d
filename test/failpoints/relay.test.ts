import { after, before, describe } from 'node:test';
import type { Batch, RelayLaboratory } from './relay-laboratory.ts';
import { relayLaboratory } from './relay-laboratory.ts';
import { tryAll } from './table.ts';

const batch: Batch = { rows: 3 };
const none = { kill: 0, throw: 0, hang: 0, second: 0 };

describe('a relay', () => {
  let lab: RelayLaboratory;
  before(async () => {
    lab = await relayLaboratory();
  });
  after(() => lab?.end());

  const provoke = () => lab.killOwner();
  tryAll<Batch>('relay: a batch of 3 rows, how often more than once they were published', () => lab, [
    { point: 'before claim', work: batch, provoke, duplicates: none },
    { point: 'after claim', work: batch, provoke, duplicates: none, why: 'nothing is done yet' },
    { point: 'before renewal', work: batch, duplicates: none },
    { point: 'after renewal', work: batch, duplicates: none },
    {
      point: 'after read of rows',
      work: batch,
      duplicates: none,
      why: 'a lease that has run out is not published under',
    },
    {
      point: 'before publication',
      work: batch,
      duplicates: { ...none, second: 3 },
      why: 'only a pause between the look at the lease and the sending is not noticed',
    },
    {
      point: 'after publication',
      work: batch,
      duplicates: { kill: 3, throw: 3, hang: 0, second: 3 },
      why: 'published and not marked',
    },
    { point: 'before mark', work: batch, duplicates: { kill: 3, throw: 3, hang: 0, second: 3 } },
    { point: 'after mark', work: batch, duplicates: none },
    { point: 'before refusal', work: { rows: 1, refused: true }, duplicates: none },
    { point: 'after refusal', work: { rows: 1, refused: true }, duplicates: none },
  ]);
});
