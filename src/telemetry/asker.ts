import type { Clock, Millis } from '../runtime/clock.ts';
import type { HealthPath } from './health-answers.ts';
import type { Answer } from './http-server.ts';

/** A question about health, on its way to another thread or process. */
export interface Question {
  readonly kind: 'ask';
  readonly id: number;
  readonly path: HealthPath;
  /** For metrics: whether the stores are looked at too; of several processes one is enough. */
  readonly stores: boolean;
}

export interface Reply {
  readonly kind: 'reply';
  readonly id: number;
  readonly answer: Answer;
}

/** Asks another thread or process that may be too busy to answer. */
export interface Asker {
  /** What it says; null where it says nothing in time. Never rejects. */
  ask(path: HealthPath, stores: boolean): Promise<Answer | null>;
  heard(reply: Reply): void;
}

export interface AskerDeps {
  readonly clock: Clock;
  /** Sends a question off; what cannot be sent is not answered. */
  readonly send: (question: Question) => void;
}

/** Answers come from memory: who has not given one by then is held up. */
const patienceMs: Millis = 40;
/** Metrics may wait a second for the stores. */
const metricsPatienceMs: Millis = 1_500;

/** However many ask, one question of a kind is under way at a time: a flood of probes costs the one asked nothing. */
export function createAsker({ clock, send }: AskerDeps): Asker {
  const underWay = new Map<string, Promise<Answer | null>>();
  const waiting = new Map<number, (answer: Answer | null) => void>();
  let asked = 0;

  const begin = (path: HealthPath, stores: boolean) =>
    new Promise<Answer | null>((resolve) => {
      const id = ++asked;
      const cancel = clock.after(path === '/metrics' ? metricsPatienceMs : patienceMs, () => end(null));
      const end = (answer: Answer | null) => {
        cancel();
        waiting.delete(id);
        resolve(answer);
      };
      waiting.set(id, end);
      send({ kind: 'ask', id, path, stores });
    });

  return {
    ask(path, stores) {
      const key = `${path} ${stores}`;
      const known = underWay.get(key);
      if (known !== undefined) return known;
      const begun = begin(path, stores).finally(() => underWay.delete(key));
      underWay.set(key, begun);
      return begun;
    },
    heard: ({ id, answer }) => waiting.get(id)?.(answer),
  };
}
