import { execFile } from 'node:child_process';
import { chmodSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tools } from '../../scripts/deploy-tools.mjs';
import type { Block } from './markdown.ts';
import { blocksIn, root } from './markdown.ts';
import { triedElsewhere, untriedCommands } from './untried.ts';

/** A command as one types it, with the lines that it goes on in. */
export interface CommandLine {
  readonly file: string;
  /** Of the document. */
  readonly line: number;
  readonly text: string;
}

/** The commands of a block: a line that ends with a backslash, or within quotes, goes on in the next. */
export function commandsOf({ file, line, text }: Block): readonly CommandLine[] {
  const commands: CommandLine[] = [];
  let begun: CommandLine | null = null;
  for (const [index, each] of text.split('\n').entries()) {
    const current: CommandLine = goneOn(begun, each) ?? { file, line: line + 1 + index, text: each.trim() };
    const whole = current.text;
    begun = current;
    const quotes = whole.replaceAll(/(^|\s)#.*$/gm, '').match(/'/g)?.length ?? 0;
    if (whole.endsWith('\\') || quotes % 2 === 1) continue;
    if (whole !== '' && !whole.startsWith('#')) commands.push(current);
    begun = null;
  }
  return commands;
}

const goneOn = (begun: CommandLine | null, line: string): CommandLine | null =>
  begun === null ? null : { ...begun, text: `${begun.text}\n${line}` };

/** Those of a document. */
export const commandsIn = (document: string): readonly CommandLine[] =>
  blocksIn('sh')
    .filter(({ file }) => file === document)
    .flatMap(commandsOf);

/** The documents whose commands are run here. */
export const documentsWithCommands: readonly string[] = [...new Set(blocksIn('sh').map(({ file }) => file))].filter(
  (document) => !triedElsewhere.some(({ file }) => file === document),
);

/** Why a command is not run; null of one that is. */
export const reasonOf = ({ text }: CommandLine): string | null =>
  untriedCommands.find(({ line }) => line.test(text))?.reason ?? null;

/** Whether a command stays until it is stopped. */
export const stays = ({ text }: CommandLine): boolean =>
  /^domaind (dev|server)\b(?!.*(--until-idle|--dry-run))/.test(text) || /^domaind .*(--watch| tail )/.test(text);

const built = process.env['DOMAIND_TEST_ENTRY'];
const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs');
const entry = built ? `"${built}"` : `--conditions=domaind-source --import "${tsx}" "${root}src/main.ts"`;

/** Puts `domaind` into a folder, as `npm link` puts it on the PATH, and helm where this machine has it. */
export function putPrograms(folder: string): void {
  writeFileSync(join(folder, 'domaind'), `#!/bin/sh\nexec "${process.execPath}" ${entry} "$@"\n`);
  chmodSync(join(folder, 'domaind'), 0o755);
  if (existsSync(tools.helm)) symlinkSync(tools.helm, join(folder, 'helm'));
}

export interface Outcome {
  readonly code: number;
  readonly text: string;
}

/** Runs lines in a shell, as one pastes them; it ends at the first that fails. */
export const bash = (lines: readonly string[], cwd: string, environment: NodeJS.ProcessEnv): Promise<Outcome> =>
  new Promise((resolve) => {
    const script = ['set -euo pipefail', ...lines].join('\n');
    execFile('bash', ['-c', script], { cwd, env: environment, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, text: `${stdout}${stderr}` });
    });
  });
