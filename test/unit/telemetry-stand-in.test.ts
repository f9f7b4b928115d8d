import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Question } from '../../src/telemetry/asker.ts';
import { createAsker } from '../../src/telemetry/asker.ts';
import type { MemberHealth } from '../../src/telemetry/combined-health.ts';
import { combinedHealth } from '../../src/telemetry/combined-health.ts';
import { inJson } from '../../src/telemetry/health-answers.ts';
import { createProbe } from '../../src/telemetry/probe.ts';
import type { Standstill } from '../../src/telemetry/stand-in.ts';
import { standIn } from '../../src/telemetry/stand-in.ts';
import { createManualClock } from '../support/manual-clock.ts';

const ok = inJson({ status: 200, body: { status: 'ok' } });

function given() {
  const clock = createManualClock(0);
  const sent: Question[] = [];
  const asker = createAsker({ clock, send: (question) => void sent.push(question) });
  const answerAll = () => {
    for (const { id } of sent.splice(0)) asker.heard({ kind: 'reply', id, answer: ok });
  };
  let stalled: Standstill | null = null;
  const ask = standIn({ asker, standstill: () => stalled });
  return {
    clock,
    sent,
    asker,
    answerAll,
    ask,
    stall(next: Standstill | null) {
      stalled = next;
    },
  };
}

describe('asking another thread', () => {
  it('gives what it says', async () => {
    const { asker, answerAll } = given();
    const asked = asker.ask('/livez', true);
    answerAll();
    assert.deepEqual(await asked, ok);
  });

  it('gives up well within 100 ms', async () => {
    const { asker, clock } = given();
    const asked = asker.ask('/livez', true);
    await clock.advance(50);
    assert.equal(await asked, null);
  });

  it('sends one question of a kind at a time, however many ask', async () => {
    const { asker, sent, answerAll } = given();
    const all = Array.from({ length: 1_000 }, () => asker.ask('/livez', true));
    assert.equal(sent.length, 1);
    answerAll();
    assert.deepEqual(new Set(await Promise.all(all)), new Set([ok]));
    void asker.ask('/livez', true);
    assert.equal(sent.length, 1);
  });

  it('takes no notice of an answer that comes too late', async () => {
    const { asker, clock, answerAll } = given();
    const asked = asker.ask('/readyz', true);
    await clock.advance(50);
    answerAll();
    assert.equal(await asked, null);
  });
});

describe('answering for an event loop', () => {
  it('gives its last words while it is held up for no longer than is usual', async () => {
    const { ask, clock, answerAll } = given();
    const first = ask('/livez');
    answerAll();
    await first;
    const held = ask('/livez');
    await clock.advance(50);
    assert.deepEqual(await held, ok);
  });

  it('says 503 and whose handler it is while it stands still, and asks nobody', async () => {
    const { ask, sent, stall } = given();
    stall({ stalledMs: 6_000, handler: 'Billing', message_type: 'Shop.Charge.v1' });
    for (const path of ['/livez', '/healthz', '/readyz'] as const) {
      const { status, body } = await ask(path);
      assert.equal(status, 503);
      assert.deepEqual(JSON.parse(body), {
        status: 'stalled',
        event_loop: { stalled_seconds: 6, handler: 'Billing', message_type: 'Shop.Charge.v1' },
      });
    }
    assert.equal(sent.length, 0);
  });

  it('gives the last metrics there were, and 503 where there were none', async () => {
    const { ask, stall, answerAll } = given();
    stall({ stalledMs: 6_000, handler: null, message_type: null });
    assert.equal((await ask('/metrics')).status, 503);
    stall(null);
    const asked = ask('/metrics');
    answerAll();
    await asked;
    stall({ stalledMs: 6_000, handler: null, message_type: null });
    assert.equal((await ask('/metrics')).status, 200);
  });
});

describe('a question to what stands still', () => {
  it('ends when its time is up, and is not put a second time', async () => {
    const clock = createManualClock(0);
    let asked = 0;
    const probe = createProbe(
      () => {
        asked += 1;
        return new Promise<void>(() => undefined);
      },
      3_000,
      { clock, fault: () => new Error('silent') },
    );
    for (let count = 0; count < 3; count += 1) {
      const refused = assert.rejects(probe(), /silent/);
      await clock.advance(3_000);
      await refused;
    }
    assert.equal(asked, 1);
  });

  it('gives the answer, or the fault, where there is one in time', async () => {
    const deps = { clock: createManualClock(0), fault: () => new Error('silent') };
    assert.equal(await createProbe(async () => 7, 3_000, deps)(), 7);
    await assert.rejects(createProbe(() => Promise.reject(new Error('refused')), 3_000, deps)(), /refused/);
  });
});

describe('the health of several processes', () => {
  const well: MemberHealth = { number: 1, state: 'ready', restarts: 0, heldBy: null, answer: ok };
  const held: MemberHealth = { ...well, number: 2, heldBy: 'Billing', answer: null };
  const gone: MemberHealth = { ...well, number: 3, state: 'restarting', restarts: 2, answer: null };
  const said = (path: '/livez' | '/readyz' | '/startupz', all: readonly MemberHealth[]) => {
    const { status, body } = combinedHealth(path, all);
    return [status, JSON.parse(body)] as const;
  };

  it('is life while one of them is well, and tells of the others', () => {
    assert.deepEqual(said('/livez', [well, held, gone]), [
      200,
      {
        status: 'degraded',
        workers: {
          1: { state: 'ok', restarts: 0 },
          2: { state: 'stalled', restarts: 0, handler: 'Billing' },
          3: { state: 'restarting', restarts: 2 },
        },
      },
    ]);
    assert.equal(said('/livez', [well])[1].status, 'ok');
    assert.equal(said('/livez', [held, gone])[0], 503);
  });

  it('is readiness when all of them are ready', () => {
    assert.equal(said('/readyz', [well, { ...well, number: 2 }])[0], 200);
    assert.equal(said('/readyz', [well, held])[0], 503);
    const draining = inJson({ status: 503, body: { status: 'draining', checks: {} } });
    const [status, body] = said('/readyz', [well, { ...well, number: 2, answer: draining }]);
    assert.deepEqual([status, body.status, body.workers[2].state], [503, 'draining', 'draining']);
  });

  it('is having started when none is at its first start, and that is not lost again', () => {
    const starting: MemberHealth = { ...well, number: 2, state: 'starting', answer: null };
    assert.equal(said('/startupz', [well, starting])[0], 503);
    assert.equal(said('/startupz', [well, { ...starting, restarts: 1 }])[0], 200);
  });

  it('counts those no more that have done all there was', () => {
    assert.equal(said('/livez', [well, { ...gone, state: 'ended' }])[1].status, 'ok');
    assert.equal(said('/readyz', [well, { ...gone, state: 'ended' }])[0], 200);
  });
});
