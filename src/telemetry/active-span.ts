/** What a log line says of the span that it is written in, by the names that OpenTelemetry gives them. */
export interface SpanIds {
  readonly trace_id: string;
  readonly span_id: string;
}

/** What `@opentelemetry/api` 1.x leaves for all to find; it is no dependency. */
const api = Symbol.for('opentelemetry.js.api.1');
/** How its contexts name the span that is active. */
const spanKey = Symbol.for('OpenTelemetry Context Key SPAN');
const none = /^0*$/;

interface Span {
  spanContext(): { readonly traceId: unknown; readonly spanId: unknown };
}

interface Api {
  readonly context?: { active(): { getValue(key: symbol): Span | undefined } };
}

/** The span that is active here, where the application has set OpenTelemetry up; else null. Never throws. */
export function activeSpan(): SpanIds | null {
  const { context } = ((globalThis as { readonly [key: symbol]: unknown })[api] ?? {}) as Api;
  if (context === undefined) return null;
  try {
    const { traceId, spanId } = context.active().getValue(spanKey)?.spanContext() ?? {};
    if (typeof traceId !== 'string' || typeof spanId !== 'string' || none.test(traceId)) return null;
    return { trace_id: traceId, span_id: spanId };
  } catch {
    // Of a make that is not known: the line goes without.
    return null;
  }
}
