import type { HealthPath } from './health-answers.ts';
import { inJson } from './health-answers.ts';
import type { Answer } from './http-server.ts';

/** One of several processes, as the one that runs them sees it. */
export interface MemberHealth {
  readonly number: number;
  /** `ended`: it has done all there was; `restarting`: it has ended and is about to be started again. */
  readonly state: 'starting' | 'ready' | 'restarting' | 'ended';
  readonly restarts: number;
  /** The handler that holds its event loop, when it last said so. */
  readonly heldBy: string | null;
  /** Its own answer; null where it gave none in time, or there is nobody to ask. */
  readonly answer: Answer | null;
}

/**
 * The answers of several processes as one. Alive: one of them is, as the others are seen to by the one that runs them.
 * Ready: all of them are. What is wrong is told of each by its number.
 */
export function combinedHealth(
  path: Exclude<HealthPath, '/metrics' | '/version'>,
  all: readonly MemberHealth[],
): Answer {
  const running = all.filter(({ state }) => state !== 'ended');
  switch (path) {
    case '/livez':
    case '/healthz': {
      const alive = running.filter((each) => lifeOf(each) === 'ok' || lifeOf(each) === 'starting');
      const wrong = alive.length < running.length;
      return inJson({
        status: alive.length > 0 || running.length === 0 ? 200 : 503,
        body: { status: !wrong ? 'ok' : alive.length > 0 ? 'degraded' : 'stalled', workers: lives(all) },
      });
    }
    case '/startupz': {
      const starting = running.some(({ state, restarts }) => state === 'starting' && restarts === 0);
      return inJson({
        status: starting ? 503 : 200,
        body: { status: starting ? 'starting' : 'ok', workers: lives(all) },
      });
    }
    case '/readyz': {
      const unready = running.filter(({ answer }) => answer?.status !== 200);
      const shown = unready.find(({ answer }) => answer !== null) ?? running.find(({ answer }) => answer !== null);
      const said = shown?.answer == null ? { status: 'unavailable' } : (JSON.parse(shown.answer.body) as object);
      const ready = unready.length === 0;
      return inJson({
        status: ready ? 200 : 503,
        body: { ...(ready ? {} : { status: 'unavailable' }), ...said, workers: lives(all) },
      });
    }
  }
}

type Life = 'ok' | 'starting' | 'stalled' | 'restarting' | 'ended';

const lifeOf = ({ state, answer }: MemberHealth): Life => {
  if (state === 'restarting' || state === 'ended' || state === 'starting') return state;
  return answer === null || answer.status !== 200 ? 'stalled' : 'ok';
};

/** Of readiness the lives are not asked: who answers is alive. */
const lives = (all: readonly MemberHealth[]) =>
  Object.fromEntries(
    all.map((each) => [
      String(each.number),
      {
        state:
          each.answer !== null && each.state === 'ready' && each.answer.status !== 200
            ? stateSaid(each.answer)
            : lifeOf(each),
        restarts: each.restarts,
        ...(lifeOf(each) === 'stalled' && each.heldBy !== null ? { handler: each.heldBy } : {}),
      },
    ]),
  );

const stateSaid = ({ body }: Answer): unknown => (JSON.parse(body) as { readonly status?: unknown }).status;
