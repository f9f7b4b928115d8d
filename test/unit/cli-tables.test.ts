import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { foldText } from '../../src/cli/fold-text.ts';
import { createRates, perSecond } from '../../src/cli/rates.ts';
import { wrappedTable } from '../../src/cli/wrapped-table.ts';
import type { BrokerFacts } from '../../src/doctor/facts.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('a table that is wider than its terminal', () => {
  const headings = ['HANDLER', 'STREAM', 'GROUP'];
  const rows = [
    ['OrderNotifications', 'bookshelf::order, bookshelf::order:backfill', 'bookshelf.OrderNotifications'],
    ['A', 'b', 'c'],
  ];

  it('goes on in the next line, and loses nothing', () => {
    const text = wrappedTable(headings, rows, 60);
    for (const line of text.split('\n')) assert.ok(line.length <= 60, line);
    const letters = (cells: readonly string[]) => cells.join('').replace(/\s/g, '').split('').sort().join('');
    assert.equal(letters([text]), letters([...headings, ...rows.flat()]));
  });

  it('is as it was where there is room', () => {
    assert.equal(wrappedTable(['A', 'B'], [['1', '2']], 80), 'A  B\n1  2');
  });
});

describe('help that is wider than its terminal', () => {
  it('goes on under its own column', () => {
    const folded = foldText('  --only PART    relay: no handlers. subscriptions: no relay', 40);
    assert.equal(folded, '  --only PART    relay: no handlers.\n                 subscriptions: no relay');
  });

  it('leaves a word alone that no terminal could hold', () => {
    assert.equal(foldText('x'.repeat(50), 40), 'x'.repeat(50));
  });
});

describe('the rates of status --watch', () => {
  const look = (added: number, read: number, pending: number) => {
    const group = { group: 'g', pending, read, lag: 0, consumers: [], worst: null };
    const stream = { stream: 's', exists: true, length: 1, added, groups: [group] };
    const facts = { retention: null, wanted: [], deadLetters: 0, lastCause: null };
    const broker = {
      name: 'default',
      provider: 'redis',
      foreign: false,
      server: {},
      streams: [{ ...stream, ...facts }],
    };
    return { findings: [], databases: [], brokers: [broker as unknown as BrokerFacts] };
  };

  it('are what was added and what was done with between two looks, per second', async () => {
    const clock = createManualClock();
    const measure = createRates(clock);
    assert.deepEqual(measure(look(10, 10, 0)).of('s', 'g'), { added: null, handled: null });
    await clock.advance(2_000);
    assert.deepEqual(measure(look(50, 40, 10)).of('s', 'g'), { added: 20, handled: 10 });
    assert.deepEqual(measure(look(50, 40, 10)).of('s', 'other'), { added: null, handled: null });
  });

  it('are a dash where they are not known', () => {
    assert.deepEqual([perSecond(null), perSecond(2.5)], ['-', '2.5']);
  });
});
