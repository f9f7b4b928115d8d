import type { TraceParent } from './message.ts';

/**
 * The trace context that a W3C `traceparent` names, `00-<trace>-<parent>-<flags>`, or null where the text is none: those
 * of a later version are read as far as this one goes, as the recommendation asks.
 */
export function parseTraceparent(text: string): TraceParent | null {
  const [, version, trace_id, parent_id, flags] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(text) ?? [];
  if (trace_id === undefined || parent_id === undefined || version === 'ff') return null;
  if (/^0+$/.test(trace_id) || /^0+$/.test(parent_id)) return null;
  return { trace_id, parent_id, sampled: (Number.parseInt(flags ?? '0', 16) & 1) === 1 };
}

/** The same context as W3C writes it, for requests that belong to the trace. */
export const formatTraceparent = ({ trace_id, parent_id, sampled }: TraceParent): string =>
  `00-${trace_id}-${parent_id}-${sampled ? '01' : '00'}`;
