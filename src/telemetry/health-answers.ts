import type { Clock } from '../runtime/clock.ts';
import type { HealthAnswer, HealthState } from './health.ts';
import { liveness, readiness, startup } from './health.ts';
import type { Answer } from './http-server.ts';

export interface HealthAnswersDeps {
  readonly state: HealthState;
  readonly metrics: { readonly contentType: string; text(stores?: boolean): Promise<string> };
  readonly version: string;
  readonly clock: Clock;
}

/** What `[server.health]` can be asked. */
export const healthPaths = ['/livez', '/healthz', '/readyz', '/startupz', '/version', '/metrics'] as const;
export type HealthPath = (typeof healthPaths)[number];

/** How a question is answered, by whoever knows. `stores`, for metrics: whether they are looked at too; left out, they are. */
export type AskHealth = (path: HealthPath, stores?: boolean) => Promise<Answer>;

/**
 * The answers of this process, all from memory: only metrics may look something up, and wait at most a second for it.
 * Bodies name components as domain.toml does: no URI, no host, no error text.
 */
export function createHealthAnswers({ state, metrics, version, clock }: HealthAnswersDeps): AskHealth {
  return async (path, stores) => {
    switch (path) {
      case '/livez':
      case '/healthz':
        return inJson(liveness(state, clock.monotonic()));
      case '/readyz':
        return inJson(readiness(state));
      case '/startupz':
        return inJson(startup(state));
      case '/version':
        return inJson({ status: 200, body: { name: 'domaind', version } });
      case '/metrics':
        return { status: 200, body: await metrics.text(stores), contentType: metrics.contentType };
    }
  };
}

/** An answer as it goes over the wire. */
export const inJson = ({ status, body }: HealthAnswer): Answer => ({ status, body: `${JSON.stringify(body)}\n` });
