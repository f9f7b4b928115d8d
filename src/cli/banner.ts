import type { HttpConfig } from '../config/config.ts';
import type { PlanRow } from '../worker/plan.ts';
import { wrappedTable } from './wrapped-table.ts';

export interface BannerFacts {
  /** Columns of the terminal; infinite where there is none. */
  readonly width: number;
  readonly health: HttpConfig;
  /** Where it listens, or null. */
  readonly healthPort: number | null;
}

/** The start banner: one table of the subscriptions, and the addresses. */
export function banner(plan: readonly PlanRow[], { width, health, healthPort }: BannerFacts): string {
  const rows = plan.map(({ handler, streams, settings }) => [
    handler.name,
    streams.join(', '),
    settings.type,
    settings.profile ?? '-',
    handler.group,
  ]);
  const table =
    rows.length === 0 ? 'no handlers' : wrappedTable(['HANDLER', 'STREAM', 'TYPE', 'PROFILE', 'GROUP'], rows, width);
  const address =
    healthPort === null ? [] : ['', `health and metrics  http://${health.host}:${healthPort}/readyz /metrics`];
  return ['', table, ...address, ''].join('\n');
}
