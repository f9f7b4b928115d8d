import type { IncomingMessage } from 'node:http';
import type { HttpConfig } from '../config/config.ts';
import type { Emit } from './event.ts';
import type { AskHealth, HealthPath } from './health-answers.ts';
import { healthPaths } from './health-answers.ts';
import type { Answer, HttpLimits, HttpServer } from './http-server.ts';
import { createHttpServer, refusal } from './http-server.ts';

export interface HealthServerDeps {
  readonly ask: AskHealth;
  readonly emit: Emit;
  /** Other than the usual 5 s for the headers, 10 s for a request, looked at every second. */
  readonly limits?: HttpLimits;
}

const limitsOfProbes: HttpLimits = { headersTimeoutMs: 5_000, requestTimeoutMs: 10_000, checkEveryMs: 1_000 };
const maxConnections = 64;

/** `[server.health]`: GET and HEAD only; bodies are never read; who answers is given. */
export function createHealthServer(config: Pick<HttpConfig, 'host' | 'port'>, deps: HealthServerDeps): HttpServer {
  const { host, port } = config;
  const { ask, emit, limits = limitsOfProbes } = deps;

  async function respond(request: IncomingMessage): Promise<Answer> {
    const { method, url = '/' } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      const only = { headers: { Allow: 'GET, HEAD' }, close: true };
      return refusal(405, 'method_not_allowed', 'GET and HEAD only', only);
    }
    const [path = ''] = url.split('?', 1);
    if (!isHealthPath(path)) return refusal(404, 'not_found', `there is ${healthPaths.join(', ')}`);
    return ask(path);
  }

  return createHttpServer({ server: 'health', host, port, maxConnections, limits }, { respond, emit });
}

const isHealthPath = (path: string): path is HealthPath => (healthPaths as readonly string[]).includes(path);
