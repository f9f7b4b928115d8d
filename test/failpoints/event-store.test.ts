import { after, before, describe } from 'node:test';
import type { Event, EventStoreLaboratory } from './event-store-laboratory.ts';
import { eventStoreLaboratory } from './event-store-laboratory.ts';
import { tryAll } from './table.ts';

const none = { kill: 0, throw: 0, hang: 0, second: 0 };

describe('an owner of a subscription of the event store', () => {
  let lab: EventStoreLaboratory;
  before(async () => {
    lab = await eventStoreLaboratory();
  });
  after(() => lab?.end());

  const provoke = () => lab.killOwner();
  tryAll<Event>('event store: one event, how often more than once its handler began', () => lab, [
    { point: 'after claim', work: 'plain', provoke, duplicates: none },
    { point: 'before claim of the position', work: 'plain', provoke, duplicates: none },
    { point: 'after claim of the position', work: 'plain', provoke, duplicates: none },
    { point: 'after renewal', work: 'plain', duplicates: none },
    {
      point: 'after read of events',
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
      point: 'before receipt',
      work: 'plain',
      duplicates: { kill: 1, throw: 1, hang: 0, second: 1 },
      why: 'a later owner has claimed the position: the late one is fenced out',
    },
    {
      point: 'after receipt',
      work: 'plain',
      duplicates: { kill: 1, throw: 1, hang: 0, second: 0 },
      why: 'who claims the position waits for the transaction that has written it',
    },
    {
      point: 'after commit',
      work: 'plain',
      duplicates: { ...none, throw: 1 },
      why: 'the position is committed with the effect',
    },
    { point: 'before position', work: 'plain', duplicates: none },
    { point: 'after position', work: 'plain', duplicates: none },
    {
      point: 'before append',
      work: 'fails once',
      duplicates: { kill: 1, throw: 0, hang: 0, second: 1 },
      why: 'a failure that was not written down is not counted',
    },
    { point: 'after append', work: 'fails once', duplicates: none },
  ]);
});
