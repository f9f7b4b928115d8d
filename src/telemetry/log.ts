import { pino } from 'pino';
import type { LoggingConfig } from '../config/config.ts';
import type { Clock, Millis } from '../runtime/clock.ts';
import { activeSpan } from './active-span.ts';
import type { ConsoleFormat } from './console-format.ts';
import { formatConsole } from './console-format.ts';
import type { Emit, TelemetryEvent } from './event.ts';
import { createFold } from './fold.ts';
import type { LineWriter } from './line-writer.ts';
import { kindOfError, toLoggedError } from './log-error.ts';
import type { Level } from './log-lines.ts';
import { logLineOf } from './log-lines.ts';
import { createRedact } from './redaction.ts';
import { scrub } from './scrub.ts';
import { slowHandlerIn } from './slow-handler.ts';

/** What a handler's lines say beside its own words: subscription, message_id, message_type, attempt, correlation_id. */
export type LogBindings = { readonly [key: string]: string | number | null };

/** A voice in the log for one handler and one message; the handler knows it as `ctx.log`. */
export type BoundLog = { readonly [Name in Level]: (message: string, facts?: object) => void };

export interface Log {
  /** Hears every fact and writes those that have a line. Never throws, never waits. */
  readonly emit: Emit;
  handlerLog(bindings: LogBindings): BoundLog;
  /** Says what was folded, and waits for all lines to leave, at most `withinMs`. Called last. */
  flush(withinMs: Millis): Promise<void>;
  /** The same for a process that has no event loop any more. */
  flushSync(): void;
}

export interface LogDeps {
  readonly lines: LineWriter;
  readonly clock: Clock;
  /** What `format = "auto"` goes by. */
  readonly isTty: boolean;
  readonly color: boolean;
  /** The terminal's width; 100 where it has none. */
  readonly columns: number;
  /** Which of several processes writes it; null or left out where there is one. */
  readonly worker?: number | null;
}

const severity = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: 100 } as const;
/** The same fault of the same place is said once in so long, and then with its count. */
const foldMs: Millis = 10_000;
const maxFolds = 256;
const maxListed = 50;

/** The log: facts and handlers' words become lines of JSON, or of the console's format, behind one scrubber. */
export function createLog(config: LoggingConfig, deps: LogDeps): Log {
  const { level, format, redact: redacted, slowHandlerThresholdMs } = config;
  const { lines, clock, isTty, color, columns, worker = null } = deps;
  const threshold = severity[level];
  const verbose = threshold <= severity.debug;
  const redact = createRedact(redacted);
  const fold = createFold<TelemetryEvent>(foldMs, maxFolds);
  let watching: Promise<void> | null = null;
  let ending = new AbortController();
  let droppedSaid = 0;

  const consoleFormat: ConsoleFormat = { color, verbose, columns, offsetMinutes: (time) => -time.getTimezoneOffset() };
  const asConsole = format === 'console' || (format === 'auto' && isTty);
  const present = (json: string) => (asConsole ? formatConsole(JSON.parse(json), consoleFormat) : json);
  const out = pino(
    {
      level,
      base: worker === null ? null : { worker },
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      mixin: () => activeSpan() ?? {},
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (err: unknown) => err },
    },
    { write: (json: string) => void lines.write(present(scrub(json))) },
  );

  function emit(fact: TelemetryEvent): void {
    const { level, fold: alike } = logLineOf(fact);
    if (level !== null && severity[level] >= threshold) {
      if (verbose || alike === null || fold.admit(kindOf(fact, alike), fact, clock.monotonic())) say(level, fact, null);
      else watching ??= sayFolded(ending.signal);
    }
    const slow = slowHandlerIn(fact, slowHandlerThresholdMs);
    if (slow !== null) emit(slow);
  }

  function say(level: Level, fact: TelemetryEvent, count: number | null): void {
    const keys: { [key: string]: unknown } = {};
    const fields = fact as { readonly [key: string]: unknown };
    for (const key of logLineOf(fact).keys) {
      const value = fields[key];
      if (value !== null && value !== undefined) keys[key] = key === 'err' ? toLoggedError(value) : bounded(key, value);
    }
    if (count !== null) keys['count'] = count;
    const dropped = lines.dropped();
    out[level](redacted.length > 0 ? redact(keys) : keys, fact.event);
    if (dropped > droppedSaid && lines.dropped() === dropped) tellDropped(dropped);
  }

  /** Once lines go out again, how many did not. */
  function tellDropped(dropped: number): void {
    out.warn({ count: dropped - droppedSaid }, 'log.lines_dropped');
    if (lines.dropped() === dropped) droppedSaid = dropped;
  }

  async function sayFolded(signal: AbortSignal): Promise<void> {
    for (let next = fold.nextAt(); next !== null && !signal.aborted; next = fold.nextAt()) {
      await clock.sleep(next - clock.monotonic(), signal);
      if (!signal.aborted) sayCounts(fold.due(clock.monotonic()));
    }
    if (!signal.aborted) watching = null;
  }

  function sayCounts(folded: ReturnType<typeof fold.due>): void {
    for (const { last, count } of folded) say(logLineOf(last).level ?? 'warn', last, count);
  }

  function endFolds(): void {
    ending.abort();
    ending = new AbortController();
    watching = null;
    sayCounts(fold.end());
  }

  return {
    emit,
    handlerLog(bindings) {
      const voice = (level: Level) => (message: string, facts?: object) => {
        if (severity[level] < threshold) return;
        const said = facts === undefined ? {} : apart(redact(facts), bindings);
        out[level]({ ...withoutNulls(bindings), ...said }, typeof message === 'string' ? message.slice(0, 4_096) : '');
      };
      return { debug: voice('debug'), info: voice('info'), warn: voice('warn'), error: voice('error') };
    },
    async flush(withinMs) {
      const watched = watching;
      endFolds();
      await watched;
      await lines.flush(withinMs);
    },
    flushSync() {
      endFolds();
      lines.flushSync();
    },
  };
}

/** What makes two facts repeats of one another: the event, the place, and the kind of error. */
function kindOf(fact: TelemetryEvent, alike: readonly string[]): string {
  const fields = fact as { readonly [key: string]: unknown };
  const place = alike.map((key) => fields[key]);
  const { err } = fields;
  return [fact.event, ...place, err === null || err === undefined ? '' : kindOfError(err)].join(' ');
}

function bounded(key: string, value: unknown): unknown {
  if (typeof value === 'number' && key.endsWith('_ms')) return Math.round(value * 1_000) / 1_000;
  if (Array.isArray(value)) return value.slice(0, maxListed);
  return value;
}

const reserved = new Set(['level', 'time', 'msg', 'worker', 'trace_id', 'span_id']);

/** Facts that would take the place of what the line says itself get another name. */
function apart(facts: { readonly [key: string]: unknown }, bindings: LogBindings): { readonly [key: string]: unknown } {
  const taken = (key: string) => reserved.has(key) || key in bindings;
  return Object.fromEntries(Object.entries(facts).map(([key, value]) => [taken(key) ? `${key}_` : key, value]));
}

const withoutNulls = (bindings: LogBindings) =>
  Object.fromEntries(Object.entries(bindings).filter(([, value]) => value !== null));
