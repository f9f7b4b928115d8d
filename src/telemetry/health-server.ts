import type { IncomingMessage } from 'node:http';
import type { HttpConfig } from '../config/config.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Emit } from './event.ts';
import type { HealthAnswer, HealthState } from './health.ts';
import { liveness, readiness, startup } from './health.ts';
import type { Answer, HttpLimits, HttpServer } from './http-server.ts';
import { createHttpServer, refusal } from './http-server.ts';

export interface HealthServerDeps {
  readonly state: HealthState;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly version: string;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Other than the usual 5 s for the headers, 10 s for a request, looked at every second. */
  readonly limits?: HttpLimits;
}

const limitsOfProbes: HttpLimits = { headersTimeoutMs: 5_000, requestTimeoutMs: 10_000, checkEveryMs: 1_000 };
const maxConnections = 64;

/**
 * `[server.health]`: /livez, /readyz, /startupz, /healthz, /metrics, /version. GET and HEAD only; bodies are never
 * read; every answer comes from memory. Bodies name components as domain.toml does: no URI, no host, no error text.
 */
export function createHealthServer(config: Pick<HttpConfig, 'host' | 'port'>, deps: HealthServerDeps): HttpServer {
  const { host, port } = config;
  const { state, metrics, version, clock, emit, limits = limitsOfProbes } = deps;

  const live = () => inJson(liveness(state, clock.monotonic()));
  const endpoints = new Map<string, () => Answer | Promise<Answer>>([
    ['/livez', live],
    ['/healthz', live],
    ['/readyz', () => inJson(readiness(state))],
    ['/startupz', () => inJson(startup(state))],
    ['/version', () => inJson({ status: 200, body: { name: 'domaind', version } })],
    ['/metrics', async () => ({ status: 200, body: await metrics.text(), contentType: metrics.contentType })],
  ]);

  async function respond(request: IncomingMessage): Promise<Answer> {
    const { method, url = '/' } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      const only = { headers: { Allow: 'GET, HEAD' }, close: true };
      return refusal(405, 'method_not_allowed', 'GET and HEAD only', only);
    }
    const answer = endpoints.get(url.split('?', 1)[0] ?? '');
    if (answer === undefined) return refusal(404, 'not_found', `there is ${[...endpoints.keys()].join(', ')}`);
    return answer();
  }

  return createHttpServer({ server: 'health', host, port, maxConnections, limits }, { respond, emit });
}

const inJson = ({ status, body }: HealthAnswer): Answer => ({ status, body: `${JSON.stringify(body)}\n` });
