import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../config/load-config.ts';
import { ConfigError, DomaindError, MisconfiguredError, UsageError } from '../runtime/errors.ts';
import { loadSchemas } from '../schema/load-schemas.ts';
import { typesOf } from '../schema/types-of.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

const usage = 'domaind types [--out FILE] [--check] [--config FILE]';

/** `domaind types`: TypeScript types of the messages, from their schemas. */
export const types: Command = {
  name: 'types',
  summary: 'make TypeScript types of the messages from their schemas',
  help: `usage: ${usage}

  --out FILE       where to write them; default: stdout
  --check          write nothing; exit with 1 where FILE is out of date
  --config FILE    domain.toml, whose [schemas] path is read; default:
                   DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --json           for machines: the messages, and the file or the text

Where the compiler is given the file too, it checks the names of messages and
the fields of their payloads in handlers, in raise and in process. Nothing is
imported from it at run time.

example: domaind types --out messages.ts`,
  async run(argv, io) {
    const options = {
      config: 'string',
      env: 'string',
      out: 'string',
      check: 'boolean',
      json: 'boolean',
      debug: 'boolean',
    } as const;
    const given = parseArguments(argv, options, usage);
    const out = given.text('out');
    const check = given.flag('check');
    if (given.positionals.length > 0) throw new UsageError(`unknown argument ${given.positionals[0]}\nusage: ${usage}`);
    if (check && out === null) throw new UsageError(`--check needs --out FILE\nusage: ${usage}`);
    const { config } = await loadConfig({
      path: given.text('config'),
      env: given.text('env'),
      cwd: io.cwd,
      environment: io.environment,
    });
    if (config.schemas.path === null) {
      throw new MisconfiguredError(
        'no_schemas',
        `${config.file} has no [schemas] path: there is nothing to make types of`,
      );
    }
    const schemas = await loadSchemas(config.schemas.path);
    if (schemas.faults.length > 0) throw new ConfigError(schemas.faults);
    const text = typesOf(schemas);
    const file = out === null ? null : resolve(io.cwd, out);
    if (file !== null && check) requireSame(file, text);
    else if (file !== null) write(file, text);
    if (given.flag('json')) {
      const messages = [...schemas.messages].map(([name, versions]) => ({ name, versions: [...versions.keys()] }));
      io.out(JSON.stringify(file === null ? { messages, text } : { messages, file }));
    } else if (file === null) io.out(text.trimEnd());
    return 0;
  },
};

/** Not where it is the same, so that those who watch the file are not woken for nothing. */
function write(file: string, text: string): void {
  if (textOf(file) === text) return;
  try {
    writeFileSync(file, text);
  } catch (cause) {
    throw new DomaindError('not_written', `${file} cannot be written`, { cause });
  }
}

function requireSame(file: string, text: string): void {
  if (textOf(file) === text) return;
  throw new DomaindError('out_of_date', `${file} is not what the schemas say: run domaind types --out ${file}`);
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Not there, or not to be read: either way it is not what it should be.
    return null;
  }
}
