import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Fault } from '../runtime/errors.ts';
import { toError, toFailure } from '../runtime/failure.ts';
import type { Place } from './syntax-place.ts';
import { findSyntaxError, placeInArrow, showPlace } from './syntax-place.ts';
import { isTypeScript, needsTypeScript } from './typescript-support.ts';

/** A module did not finish: a top-level await in it never settles. */
export class ImportTimeout extends Error {}

/** A module called `process.exit` while it was imported, which it is kept from. */
export class ImportExit extends Error {}

/** What is wrong with a module that could not be imported, in one sentence that says where and what to do. */
export async function faultOfImport(thrown: unknown, file: string): Promise<Fault> {
  const { code, type, message } = toFailure(thrown);
  const stack = stackOf(thrown);
  const fault = (kind: string, sentence: string, place: Place | null = null): Fault => ({
    code: kind,
    where: showPlace(place ?? frameIn(stack) ?? { file, line: null, column: null }),
    message: sentence,
  });
  const atFile = (path: string): Place => ({ file: path, line: null, column: null });

  if (thrown instanceof ImportTimeout) return fault('import_timeout', message, atFile(file));
  if (thrown instanceof ImportExit) return fault('import_exit', message);
  switch (code) {
    case 'ERR_MODULE_NOT_FOUND':
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
    case 'MODULE_NOT_FOUND':
      return notFound(message, file);
    case 'ERR_UNKNOWN_FILE_EXTENSION': {
      const [, extension = '', path = file] = /"(.*?)" for (.*)$/.exec(message) ?? [];
      const what = path === file ? '' : `imports ${path}, which `;
      if (isTypeScript(path)) return fault('needs_typescript', `${what}${needsTypeScript}`, atFile(file));
      return fault('unknown_extension', `imports ${path}: Node cannot import ${extension} files`, atFile(file));
    }
    case 'ERR_IMPORT_ATTRIBUTE_MISSING':
    case 'ERR_IMPORT_ASSERTION_TYPE_MISSING':
      return fault('import_attribute', "imports JSON: add `with { type: 'json' }` to that import", atFile(file));
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX': {
      const mend = 'install tsx (npm install tsx) and start with --import tsx, or write it without';
      return fault(
        'typescript_syntax',
        `has TypeScript that Node cannot strip (${message}): ${mend}`,
        placeInArrow(stack),
      );
    }
  }
  const syntax = type === 'SyntaxError' || type === 'TransformError' ? await syntaxFault(message, stack, file) : null;
  if (syntax !== null) return syntax;
  const what = toError(thrown) === thrown ? `${type}: ${firstLine(message)}` : firstLine(message);
  return fault('import_threw', `throws while it is imported: ${what}`);
}

function notFound(message: string, file: string): Fault {
  const [first = '', ...rest] = message.split('\n');
  const [, kind, what = '', from] =
    /^(?:Cannot find|Directory) (?:(module|package|import) )?'(.*?)'(?: imported from (.*))?/.exec(first) ?? [];
  const by = from ?? rest.find((line) => line.startsWith('- '))?.slice(2) ?? file;
  const importer = by.startsWith('file:') ? fileURLToPath(by) : by;
  if (what === file) return { code: 'missing', where: file, message: 'does not exist' };
  if (kind === 'package') {
    const mend = `run npm install ${what} there`;
    return {
      code: 'missing_package',
      where: importer,
      message: `imports the package ${what}, which is not installed: ${mend}`,
    };
  }
  const found = ['.js', '.mjs', '.ts', '.mts', '/index.js', '/index.ts'].find((end) => existsSync(`${what}${end}`));
  const mend = found === undefined ? '' : `: write the import with ${found} at its end`;
  return { code: 'missing_import', where: importer, message: `imports ${what}, which does not exist${mend}` };
}

async function syntaxFault(message: string, stack: string, file: string): Promise<Fault | null> {
  // esbuild, by which tsx compiles: `/handlers/order.ts:4:0: ERROR: Unexpected "}"`, its columns from 0.
  const [, path, line, column, what] = /^(\/.*?):(\d+):(\d+): ERROR: (.*)$/m.exec(message) ?? [];
  if (path !== undefined) {
    const place = { file: path, line: Number(line), column: Number(column) + 1 };
    return { code: 'syntax', where: showPlace(place), message: `has a syntax error: ${what}` };
  }
  const arrow = placeInArrow(stack);
  // With a line of its own in the stack, the module ran: something that it calls could not parse a text.
  if (arrow === null && frameIn(stack) !== null) return null;
  const place = arrow ?? (await findSyntaxError(file)) ?? { file, line: null, column: null };
  const where = showPlace(place);
  if (/^Cannot use import statement outside|^Unexpected token 'export'/.test(message)) {
    return {
      code: 'commonjs',
      where: place.file,
      message: `is an ES module in a folder of CommonJS: ${mendCommonJs(place.file)}`,
    };
  }
  if (/does not provide an export named/.test(message)) {
    return { code: 'missing_export', where, message: `imports what is not there: ${firstLine(message)}` };
  }
  return { code: 'syntax', where, message: `has a syntax error: ${firstLine(message)}` };
}

function mendCommonJs(file: string): string {
  const extension = extname(file);
  const name = `${file.slice(0, -extension.length)}${extension === '.ts' ? '.mts' : '.mjs'}`;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) return `name it ${name}, or add "type": "module" to ${manifest}`;
    if (folder === dirname(folder)) return `name it ${name}`;
  }
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 500);

/** This package's own code, which is part of the way but never to blame. */
const own = fileURLToPath(new URL('..', import.meta.url));

/** The first line of a stack that is in a file of the user's, neither in a package nor in Node. */
function frameIn(stack: string): Place | null {
  for (const [, file = '', line, column] of stack.matchAll(/^ +at (?:.*\()?(?:file:\/\/)?(\/.*?):(\d+):(\d+)\)?$/gm)) {
    // What called the import, not what was imported.
    if (/[\\/]import-module\.[jt]s$/.test(file)) return null;
    if (file.includes('/node_modules/') || file.startsWith(own)) continue;
    return { file: decodeURI(file), line: Number(line), column: Number(column) };
  }
  return null;
}

/** What is no error has no stack: toFailure's would be its own. */
const stackOf = (thrown: unknown): string => (toError(thrown) === thrown ? (toFailure(thrown).stack ?? '') : '');
