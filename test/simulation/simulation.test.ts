import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Told } from './campaign.ts';
import { campaign } from './campaign.ts';
import { points } from './faults.ts';
import { replayOf } from './replay.ts';
import { sabotages } from './sabotages.ts';
import { simulate } from './scenario.ts';

describe('Replicas in trouble', () => {
  it('keep their promises, whatever happens to them and when', async () => {
    const bad: string[] = [];
    let faults = 0;
    await campaign({ from: 1, count: 500 }, ({ seed, breaches, faults: made }: Told) => {
      for (const [, times] of made) faults += times;
      if (breaches.length > 0) bad.push(`${replayOf(seed)}: ${breaches.join('; ')}`);
    });
    assert.deepEqual(bad, []);
    assert.ok(faults > 1_000, `${faults} faults`);
  });
});

describe('A simulated run', () => {
  it('is the same again for the same seed, and another for another', async () => {
    for (const seed of [3, 14]) {
      const one = await simulate(seed);
      const again = await simulate(seed, { keepTrace: true });
      assert.deepEqual([again.digest, again.steps, again.recoveryMs], [one.digest, one.steps, one.recoveryMs]);
      assert.ok(again.trace.length > 100);
      assert.notEqual((await simulate(seed + 1)).digest, one.digest);
    }
  });

  it('reaches every point at which something may go wrong', async () => {
    const unreached = new Set<string>(points);
    for (let seed = 1; unreached.size > 0 && seed <= 60; seed += 1) {
      const { trace } = await simulate(seed, { keepTrace: true });
      for (const line of trace) unreached.delete(line.split(' ')[2] ?? '');
    }
    // What a handler begins is asked of nobody.
    unreached.delete('handler.begun');
    assert.deepEqual([...unreached], []);
  });
});

describe('The verdict on a run', () => {
  for (const { broken, sabotage, invariant } of sabotages) {
    it(`tells where ${broken}`, async () => {
      for (let seed = 1; seed <= 40; seed += 1) {
        const { breaches } = await simulate(seed, { sabotage });
        if (breaches.some((breach) => breach.startsWith(invariant))) return;
      }
      assert.fail(`no seed has shown ${invariant}`);
    });
  }
});
