import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { hookModule } from './resolve-hook.ts';

/** Where in which file something is: `line` and `column` count from 1; null where it is not known. */
export interface Place {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
}

export const showPlace = ({ file, line, column }: Place): string =>
  [file, line, column].filter((part) => part !== null).join(':');

const empty = 'data:text/javascript,';
const script = `
  import { register } from 'node:module';
  register(process.argv[1]);
  await import(process.argv[2]);`;

/**
 * Where Node finds the syntax error of a module, in it or in one that it imports. Node tells this only when it ends over
 * it, so another one is made to: no line of the modules is run, since all of them are parsed before. Null where it does
 * not say.
 */
export function findSyntaxError(file: string): Promise<Place | null> {
  const hook = hookModule({ domaind: empty, 'domaind/client': empty, 'domaind/testing': empty });
  const args = ['--input-type=module', '--eval', script, hook, pathToFileURL(file).href];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 10_000 }, (_, __, stderr) => resolve(placeInArrow(stderr)));
  });
}

/**
 * The place in the arrow that Node draws above a SyntaxError:
 *
 *   file:///handlers/order.js:3
 *   export const a = {;
 *                     ^
 */
export function placeInArrow(text: string): Place | null {
  const [, where = '', line = '', under = ''] = /^(\S.*):(\d+)\n.*\n( *\^)?/m.exec(text) ?? [];
  if (!/^(file:\/\/)?\//.test(where)) return null;
  return {
    file: where.startsWith('file:') ? fileURLToPath(where) : where,
    line: Number(line),
    column: under === '' ? null : under.length,
  };
}
