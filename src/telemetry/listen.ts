import type { Emit, EventName, EventOf, TelemetryEvent } from './event.ts';

/** What is to be done on which fact. */
export type Listeners = { readonly [Name in EventName]?: (fact: EventOf<Name>) => void };

/** Hears the facts that `listeners` name, and passes over the others. */
export function listen(listeners: Listeners): Emit {
  // Each function is filed under the name of the fact it takes.
  const byName = listeners as { readonly [Name in EventName]?: (fact: TelemetryEvent) => void };
  return (fact) => byName[fact.event]?.(fact);
}
