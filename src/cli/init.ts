import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { normalizeDomain } from '../message/stream-name.ts';
import { DomaindError, UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

const usage = 'domaind init [DIR] [--name NAME] [--json]';

const template = fileURLToPath(new URL('template/', import.meta.url));

/** `domaind init`: a small domain that works, to be changed into one's own. */
export const init: Command = {
  name: 'init',
  summary: 'write a small working domain: domain.toml, two handlers, compose file',
  help: `usage: ${usage}

  DIR              where to; default: the working directory. Made where it is missing
  --name NAME      the domain's name; default: the folder's
  --json           what was written, for machines

Overwrites nothing: where one of its files is there already, none is written.

example: domaind init bookshop`,
  async run(argv, io) {
    const given = parseArguments(argv, { name: 'string', json: 'boolean', debug: 'boolean' }, usage);
    const [dir = '.', ...more] = given.positionals;
    if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
    const folder = resolve(io.cwd, dir);
    const name = normalizeDomain(given.text('name') ?? basename(folder));
    if (name === '') throw new UsageError(`--name is needed: no name can be made of the folder's\nusage: ${usage}`);
    const files = filesIn(template);
    const taken = files.filter((file) => existsSync(join(folder, file)));
    if (taken.length > 0) {
      const where = relative(io.cwd, folder) || 'this folder';
      throw new DomaindError('file_exists', `${where} has ${taken.join(', ')} already: nothing was written`);
    }
    for (const file of files) {
      const path = join(folder, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, readFileSync(join(template, file), 'utf8').replaceAll('{{name}}', name), { flag: 'wx' });
    }
    if (given.flag('json')) io.out(JSON.stringify({ name, folder, files }, null, 2));
    else {
      const enter = relative(io.cwd, folder);
      io.out([`wrote the domain ${name}:`, ...files.map((file) => `  ${join(enter, file)}`), ''].join('\n'));
      io.out(
        `Start it:\n\n  ${enter === '' ? '' : `cd ${/^[\w./-]+$/.test(enter) ? enter : JSON.stringify(enter)} && `}domaind dev`,
      );
    }
    return 0;
  },
};

/** Relative, in the order of their names. */
const filesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(join(folder, file)).isFile())
    .sort();
