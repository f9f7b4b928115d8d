/** A log line as pino writes it, parsed. */
export interface LogRecord {
  readonly level: string;
  /** ISO-8601. */
  readonly time: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

export interface ConsoleFormat {
  readonly color: boolean;
  /** With all keys, and stacks. */
  readonly verbose: boolean;
  /** Lines are broken between keys where they would be longer. */
  readonly columns: number;
  /** Minutes east of UTC at an instant, so that times are those of the reader's watch. */
  readonly offsetMinutes: (time: Date) => number;
}

/** Of use to machines, and one `grep` away in JSON. */
const forMachines = new Set(['group', 'entry_id', 'correlation_id', 'owner', 'pid']);
const notKeys = new Set(['level', 'time', 'msg', 'err']);
/** Their values speak for themselves. */
const named = new Set(['subscription', 'message_type', 'loop', 'lease', 'connection', 'warning']);

/** A log record for a terminal: one line that breaks at keys, its error indented below. Ends with a newline. */
export function formatConsole(record: LogRecord, format: ConsoleFormat): string {
  const { verbose } = format;
  const paint = painter(format.color);
  const { level, time, msg, err } = record;
  const keys = Object.entries(record).filter(([key]) => !notKeys.has(key) && (verbose || !forMachines.has(key)));
  const head = `${clockTime(time, format)} ${level.toUpperCase().padEnd(5)} `;
  const first = `${paint('dim', head.slice(0, 13))}${paint(level, head.slice(13))}${paint('bold', visible(msg))}`;
  const words = keys.map(([key, value]) => word(visible(key), value));
  const indent = ' '.repeat(head.length);
  const lines = broken(first, head.length + visible(msg).length, words, indent, format.columns, (text) =>
    paint('dim', text),
  );
  return `${[...lines, ...errorLines(err, indent, verbose).map((text) => paint(level, text))].join('\n')}\n`;
}

function broken(
  first: string,
  firstLength: number,
  words: readonly { readonly name: string; readonly value: string }[],
  indent: string,
  columns: number,
  dim: (text: string) => string,
): readonly string[] {
  const lines = [first];
  let length = firstLength;
  for (const { name, value } of words) {
    const size = 1 + name.length + value.length;
    const fits = length + size <= columns;
    const text = `${dim(name)}${value}`;
    if (fits) lines[lines.length - 1] += ` ${text}`;
    else lines.push(`${indent}${text}`);
    length = fits ? length + size : indent.length + size - 1;
  }
  return lines;
}

function word(key: string, value: unknown): { readonly name: string; readonly value: string } {
  if (named.has(key)) return { name: '', value: visible(String(value)) };
  if (key.endsWith('_ms') && typeof value === 'number') return { name: `${key.slice(0, -3)}=`, value: span(value) };
  if (typeof value === 'string') return { name: `${key}=`, value: quoted(value) };
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object')) {
    return { name: `${key}=`, value: value.map((each) => quoted(String(each))).join(',') };
  }
  return { name: `${key}=`, value: visible(JSON.stringify(value) ?? '') };
}

const quoted = (text: string) => (/^[^\s"=]+$/.test(text) ? visible(text) : visible(JSON.stringify(text)));

/** 0.4 → `0.4ms`, 12.3 → `12ms`, 3200 → `3.2s`, 90000 → `1.5min`. */
function span(ms: number): string {
  if (ms < 10) return `${Math.round(ms * 10) / 10}ms`;
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10}s`;
  return `${Math.round(ms / 6_000) / 10}min`;
}

function errorLines(err: unknown, indent: string, verbose: boolean, lead = ''): readonly string[] {
  if (typeof err !== 'object' || err === null) return [];
  const { type, code, message, stack, cause } = err as { readonly [key: string]: unknown };
  const [headline = '', ...rest] = String(message).split('\n');
  const named = `${String(type)}${code === undefined ? '' : ` [${String(code)}]`}`;
  const frames =
    verbose && typeof stack === 'string' ? stack.split('\n').filter((frame) => /^ {4}at /.test(frame)) : [];
  return [
    `${indent}${lead}${visible(named)}: ${visible(headline)}`,
    ...[...rest, ...frames].map((text) => `${indent}  ${visible(text)}`),
    ...errorLines(cause, indent, verbose, 'caused by '),
  ];
}

function clockTime(time: string, { offsetMinutes }: ConsoleFormat): string {
  const instant = new Date(time);
  const local = new Date(instant.getTime() + offsetMinutes(instant) * 60_000);
  return local.toISOString().slice(11, 23);
}

/** Control characters and marks that turn text around are shown as escapes: no text can repaint or forge a line. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === '\n' ? '\\n' : `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );

const colors: { readonly [name: string]: number } = {
  debug: 90,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 31,
  dim: 2,
  bold: 1,
};

const painter =
  (color: boolean) =>
  (name: string, text: string): string => {
    const code = colors[name];
    return color && code !== undefined && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  };
