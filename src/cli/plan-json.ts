import type { PlanRow } from '../worker/plan.ts';

/** The plan of the start banner, for machines. */
export const planJson = (plan: readonly PlanRow[]): string =>
  JSON.stringify(
    plan.map(({ handler, streams, settings }) => ({
      handler: handler.name,
      kind: handler.kind,
      group: handler.group,
      streams,
      broker: handler.broker,
      database: handler.database,
      type: settings.type,
      profile: settings.profile,
      place: handler.place,
    })),
    null,
    2,
  );
