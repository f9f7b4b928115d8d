import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { excerpt } from '../config/excerpt.ts';
import { isSecretName } from '../config/secrets.ts';
import type { Fault } from '../runtime/errors.ts';

/** What `domaind check` found, with its place taken apart; null where it is not known. */
export interface Report extends Fault {
  readonly level: 'error' | 'warning';
  /** Relative to the working directory, as editors and CI open it. */
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

/** `domain.toml:12:5`, `/a/handlers/order.mjs:3:10`, or a path alone. */
export function reportOf(fault: Fault, level: Report['level'], cwd: string): Report {
  const [, file, line, column] = /^(.+?)(?::(\d+))?(?::(\d+))?$/s.exec(fault.where) ?? [];
  const near = file === undefined ? null : relative(cwd, resolve(cwd, file));
  return {
    ...fault,
    level,
    file: near === '' || near === null ? null : near.startsWith('../../../') ? (file ?? null) : near,
    line: line === undefined ? null : Number(line),
    column: column === undefined ? null : Number(column),
  };
}

/** A warning is a sentence, with its place before it where it has one. */
export function warningOf(sentence: string, cwd: string): Report {
  const [, where = '', message = sentence] = /^(\S+:\d+(?::\d+)?) (.*)$/s.exec(sentence) ?? [];
  return reportOf({ code: 'warning', where, message }, 'warning', cwd);
}

/** The sentence, its line and a caret under the place. */
export function textOf(report: Report, cwd: string): string {
  const { where, message, level } = report;
  const sentence = `${level === 'warning' ? 'warning: ' : ''}${[where, message].filter(Boolean).join(' ')}`;
  // A syntax error brings its line along.
  return /\n +\d+ \| /.test(message) ? sentence : sentence + caret(report, cwd);
}

function caret({ file, line, column }: Report, cwd: string): string {
  if (file === null || line === null || column === null) return '';
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), 'utf8');
  } catch {
    // The place is said all the same.
    return '';
  }
  const source = text.split(/\r?\n/)[line - 1];
  if (source === undefined) return '';
  if (file.endsWith('.toml') && mayHoldSecrets(source)) return excerpt(text, line, column);
  const shown = source.replace(/\p{Cc}/gu, ' ').slice(0, 160);
  const gutter = ' '.repeat(String(line).length);
  return `\n  ${line} | ${shown}\n  ${gutter} | ${' '.repeat(Math.max(0, column - 1))}^`;
}

const mayHoldSecrets = (line: string): boolean =>
  isSecretName(line.split('=')[0]?.trim() ?? '') || line.includes('://') || line.includes('@');

/** Annotations on the lines of a change: https://docs.github.com/actions/reference/workflow-commands. */
export function githubOf({ level, file, line, column, code, message }: Report): string {
  const escaped = (text: string) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = (text: string) => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const facts = [
    ...(file === null ? [] : [`file=${property(file)}`]),
    ...(line === null ? [] : [`line=${line}`]),
    ...(column === null ? [] : [`col=${column}`]),
    `title=${property(code)}`,
  ];
  return `::${level} ${facts.join(',')}::${escaped(message)}`;
}

/** SARIF 2.1.0, which code scanning reads. */
export function sarifOf(reports: readonly Report[], version: string): string {
  const rules = [...new Set(reports.map(({ code }) => code))].map((id) => ({ id }));
  const results = reports.map(({ code, level, message, file, line, column }) => ({
    ruleId: code,
    level,
    message: { text: message },
    locations:
      file === null
        ? []
        : [
            {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(file) },
                ...(line === null ? {} : { region: { startLine: line, startColumn: column ?? 1 } }),
              },
            },
          ],
  }));
  const run = { tool: { driver: { name: 'domaind', version, rules } }, results };
  return JSON.stringify(
    { $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [run] },
    null,
    2,
  );
}
