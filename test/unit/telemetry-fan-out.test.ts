import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createEmit } from '../../src/telemetry/fan-out.ts';
import { examples } from '../support/telemetry-facts.ts';

const fact = examples['daemon.ready'];

describe('a fact that is told', () => {
  it('is heard by every listener, in their order', () => {
    const heard: string[] = [];
    createEmit([({ event }) => heard.push(`a ${event}`), ({ event }) => heard.push(`b ${event}`)])(fact);
    assert.deepEqual(heard, ['a daemon.ready', 'b daemon.ready']);
  });

  it('is heard by the others when a listener throws, and the station that told it does not notice', () => {
    const heard: string[] = [];
    const faults: unknown[] = [];
    const broken = () => {
      throw new Error('bug');
    };
    const emit = createEmit([broken, ({ event }) => heard.push(event)], (error, { event }) =>
      faults.push([String(error), event]),
    );
    emit(fact);
    assert.deepEqual(heard, ['daemon.ready']);
    assert.deepEqual(faults, [['Error: bug', 'daemon.ready']]);
  });
});
