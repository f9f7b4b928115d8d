import { loadConfig } from '../config/load-config.ts';
import { schemaText } from '../config/schema.ts';
import { type Setting, settingsOf } from '../config/settings.ts';
import { UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';

const usage = 'domaind config show [--config FILE] [--env ENV] [--origin] [--json] | domaind config schema';

export const configCommand: Command = {
  name: 'config',
  summary: 'show the configuration in force, or its JSON Schema',
  help: [
    `usage: ${usage}`,
    '',
    '  show           every setting in force; secrets are masked',
    '    --config F   the file; default: DOMAIND_CONFIG, else searched for',
    '    --env ENV    the overlay; default: DOMAIND_ENV',
    '    --origin     where each value comes from: a line of the file, an overlay, a variable, a profile, a default',
    '    --json       for machines',
    '  schema         the JSON Schema of domain.toml, for editors',
    '',
    'example: domaind config show --env prod --origin',
  ].join('\n'),
  async run(argv, io) {
    const types = { config: 'string', env: 'string', origin: 'boolean', json: 'boolean' } as const;
    const { positionals, text, flag } = parseArguments(argv, types, usage);
    const [what, ...more] = positionals;
    if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"\nusage: ${usage}`);
    if (what === 'schema') return configSchema(io);
    if (what !== 'show')
      throw new UsageError(`${what ? `there is no config ${what}` : 'what of the configuration?'}\nusage: ${usage}`);
    return configShow({ path: text('config'), env: text('env'), origin: flag('origin'), json: flag('json') }, io);
  },
};

export interface ConfigShowOptions {
  readonly path: string | null;
  readonly env: string | null;
  readonly origin: boolean;
  readonly json: boolean;
}

/** `domaind config show`. Throws ConfigError. Warnings go to stderr, so that the output stays clean for machines. */
export async function configShow({ path, env, origin, json }: ConfigShowOptions, io: Io): Promise<number> {
  const { config, warnings, effective } = await loadConfig({ path, env, cwd: io.cwd, environment: io.environment });
  const settings = settingsOf(effective, config);
  for (const warning of warnings) io.err(`warning: ${warning}`);
  if (json) {
    const shown = origin ? settings : settings.map(({ key, value }) => ({ key, value }));
    const { file, withoutEffect } = config;
    io.out(JSON.stringify({ file, env: config.env, settings: shown, without_effect: withoutEffect }, null, 2));
    return 0;
  }
  const headings = origin ? ['setting', 'value', 'from'] : ['setting', 'value'];
  const row = ({ key, value, origin: from }: Setting) => (origin ? [key, cell(value), from] : [key, cell(value)]);
  io.out(formatTable(headings, settings.map(row), io.isTty ? io.width : Number.POSITIVE_INFINITY));
  if (config.withoutEffect.length > 0) io.err(`without effect in this version: ${config.withoutEffect.join(', ')}`);
  return 0;
}

/** A value in its column; `--json` has the whole of a long one. */
function cell(value: Setting['value']): string {
  const text = value === null ? '-' : JSON.stringify(value);
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}

/** `domaind config schema`: as the package ships it. */
export function configSchema(io: Io): number {
  io.out(schemaText.trimEnd());
  return 0;
}
