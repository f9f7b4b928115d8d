import type { LoadOptions } from '../config/load-config.ts';
import { loadConfig } from '../config/load-config.ts';
import { unmatchedSubscriptions } from '../config/resolve.ts';
import { roughSettings } from '../config/rough-settings.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Fault } from '../runtime/errors.ts';
import { ConfigError, UsageError } from '../runtime/errors.ts';
import { loadDomain } from '../worker/load-domain.ts';
import { planFor } from '../worker/plan.ts';
import { parseArguments } from './arguments.ts';
import type { Report } from './check-report.ts';
import { githubOf, reportOf, sarifOf, textOf, warningOf } from './check-report.ts';
import type { Command } from './command.ts';
import type { Io } from './io.ts';
import { version } from './version.ts';

const formats = ['text', 'json', 'sarif', 'github'] as const;
type Format = (typeof formats)[number];

const usage = `domaind check [--config FILE] [--env NAME] [--format ${formats.join('|')}] [--json]`;

/** `domaind check`: configuration, handlers and schemas, offline. */
export const check: Command = {
  name: 'check',
  summary: 'check domain.toml, handlers and schemas, offline',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --format FORMAT  text: with the line and a caret. json, sarif: for machines. github: annotations of a workflow
  --json           the same as --format json

Faults of the file, of all handler modules and of all schemas come in one run. Exits with 78 where there is one. Handler modules are
imported, so their own code runs.

example: domaind check --env production --format github`,
  async run(argv, io) {
    const types = { config: 'string', env: 'string', format: 'string', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [unexpected] = given.positionals;
    if (unexpected !== undefined) throw new UsageError(`unexpected "${unexpected}"\nusage: ${usage}`);
    const format = formatIn(given.flag('json') ? 'json' : given.text('format'));
    const asked = { path: given.text('config'), env: given.text('env'), cwd: io.cwd, environment: io.environment };
    const checked = await checkAll(asked);
    const reports = [
      ...checked.faults.map((fault) => reportOf(fault, 'error', io.cwd)),
      ...checked.warnings.map((warning) => warningOf(warning, io.cwd)),
    ];
    tell(reports, checked, format, io);
    return checked.faults.length > 0 ? 78 : 0;
  },
};

function formatIn(text: string | null): Format {
  const format = formats.find((each) => each === (text ?? 'text'));
  if (format !== undefined) return format;
  throw new UsageError(`--format takes ${formats.join(', ')}, got "${text}"\nusage: ${usage}`);
}

interface Checked {
  readonly faults: readonly Fault[];
  readonly warnings: readonly string[];
  /** Null where the file has faults. */
  readonly sound: { readonly file: string; readonly handlers: number } | null;
}

/** The handlers and schemas are looked at whether the file is sound or not: all there is to mend comes at once. */
async function checkAll(asked: LoadOptions): Promise<Checked> {
  try {
    const { config, warnings } = await loadConfig(asked);
    const { handlers, warnings: ofHandlers } = await loadDomain(config, { clock: systemClock });
    planFor(config, handlers);
    const names = handlers.flatMap(({ name, aliases }) => [name, ...aliases]);
    const unmatched = unmatchedSubscriptions(config.server.subscriptions, names);
    const sound = { file: config.file, handlers: handlers.length };
    return { faults: [], warnings: [...warnings, ...ofHandlers, ...unmatched], sound };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { faults: [...error.faults, ...(await handlerFaults(asked, error.faults))], warnings: [], sound: null };
  }
}

/** Those that are not told already: the file's faults came before any handler was looked at. */
async function handlerFaults(asked: LoadOptions, told: readonly Fault[]): Promise<readonly Fault[]> {
  try {
    const settings = roughSettings(asked);
    if (settings !== null) await loadDomain(settings, { clock: systemClock });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const known = new Set(told.map(({ where, message }) => `${where} ${message}`));
    return error.faults.filter(({ where, message }) => !known.has(`${where} ${message}`));
  }
}

function tell(reports: readonly Report[], { faults, warnings, sound }: Checked, format: Format, io: Io): void {
  switch (format) {
    case 'json':
      io.out(
        JSON.stringify(
          { faults: reports.filter(({ level }) => level === 'error').map(forMachines), warnings },
          null,
          2,
        ),
      );
      return;
    case 'sarif':
      io.out(sarifOf(reports, version));
      return;
    case 'github':
      for (const report of reports) io.out(githubOf(report));
      return;
    case 'text':
      for (const report of reports) io.err(textOf(report, io.cwd));
      if (faults.length > 1) io.err(`${faults.length} faults`);
      if (sound !== null) {
        io.out(`${sound.file}: sound, with ${sound.handlers} handler${sound.handlers === 1 ? '' : 's'}`);
      }
  }
}

const forMachines = ({ code, where, message, file, line, column }: Report) => ({
  code,
  where,
  message,
  file,
  line,
  column,
});
