import type { Millis } from '../runtime/clock.ts';
import type { Asker } from './asker.ts';
import type { AskHealth, HealthPath } from './health-answers.ts';
import { inJson } from './health-answers.ts';
import type { Answer } from './http-server.ts';
import { refusal } from './http-server.ts';

/** What is known of an event loop that stands still. */
export interface Standstill {
  readonly stalledMs: Millis;
  /** Whose code runs there; null while it is not known. */
  readonly handler: string | null;
  readonly message_type: string | null;
}

export interface StandInDeps {
  readonly asker: Asker;
  /** Null where the event loop is well, or has been held up for no longer than is usual. */
  readonly standstill: () => Standstill | null;
}

/**
 * Answers for an event loop that may be held up: with its own words where it has any, else with those it said last.
 * One that stands still is neither alive nor ready, and is said to be so with the handler that holds it.
 */
export function standIn({ asker, standstill }: StandInDeps): AskHealth {
  const last = new Map<HealthPath, Answer>();

  return async (path) => {
    const known = standstill();
    // Nobody is waited for who is known not to answer.
    const fresh = known === null ? await asker.ask(path, true) : null;
    if (fresh !== null) {
      last.set(path, fresh);
      return fresh;
    }
    const stalled = known ?? standstill();
    if (path === '/metrics') return last.get(path) ?? refusal(503, 'stalled', 'the event loop does not answer');
    if (path === '/version' || path === '/startupz') return last.get(path) ?? held(stalled);
    if (stalled !== null) return held(stalled);
    return last.get(path) ?? inJson({ status: 200, body: { status: 'busy' } });
  };
}

const held = (stalled: Standstill | null): Answer =>
  inJson({
    status: 503,
    body: {
      status: 'stalled',
      event_loop: {
        stalled_seconds: (stalled?.stalledMs ?? 0) / 1_000,
        handler: stalled?.handler ?? null,
        message_type: stalled?.message_type ?? null,
      },
    },
  });
