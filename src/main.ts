import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { commands } from './cli/commands.ts';
import { foldText } from './cli/fold-text.ts';
import type { Io } from './cli/io.ts';
import { memberVariable } from './cli/member-variable.ts';
import { didYouMean } from './config/nearest.ts';
import { ConfigError, DomaindError, MisconfiguredError, UnavailableError, UsageError } from './runtime/errors.ts';
import { toError } from './runtime/failure.ts';
import type { Shutdown } from './runtime/service.ts';

const exit = { done: 0, failed: 1, usage: 2, unreachable: 69, internal: 70, configuration: 78 } as const;

/** Kept from the start: while the daemon runs, `process.exit` is what handlers must not call. */
const leave = process.exit.bind(process);

/** After a second signal the process leaves within this, whatever hangs. */
const lastGraceMs = 2_000;

/** Runs one command to its end: the exit code. Start-up errors are caught here, and here only. */
export async function main(argv: readonly string[], io: Io = processIo, shutdown: Shutdown = never): Promise<number> {
  const [name = 'help', ...rest] = argv;
  const load = commands.get(name);
  if (load === undefined) return await help(name, io);
  const command = await load();
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(foldText(command.help, io.width));
    return exit.done;
  }
  try {
    return await command.run(rest, io, shutdown);
  } catch (thrown) {
    return explain(toError(thrown), rest.includes('--debug'), io);
  }
}

async function help(name: string, io: Io): Promise<number> {
  const asked = ['help', '--help', '-h'].includes(name);
  if (!asked) io.err(`domaind: there is no command "${name}"${didYouMean(name, commands.keys())}`);
  const width = Math.max(...[...commands.keys()].map((each) => each.length));
  const loaded = await Promise.all([...commands.values()].map((load) => load()));
  const lines = loaded.map((each) => `  ${each.name.padEnd(width)}  ${each.summary}`);
  const text = [
    'usage: domaind COMMAND [options]',
    '',
    ...lines,
    '',
    'domaind COMMAND --help tells more of each.',
  ].join('\n');
  if (asked) io.out(foldText(text, io.width));
  else io.err(foldText(text, io.width));
  return asked ? exit.done : exit.usage;
}

/** One sentence that says what to do; the stack only where it was asked for or where the fault is ours. */
function explain(error: Error, debug: boolean, io: Io): number {
  const known = error instanceof DomaindError;
  if (error instanceof ConfigError) {
    for (const { where, message } of error.faults) io.err(`${where} ${message}`);
    if (error.faults.length > 1) io.err(`${error.faults.length} faults`);
  } else io.err(`domaind: ${error.message}`);
  if (debug || !known) io.err(error.stack ?? '');
  if (error instanceof UsageError) return exit.usage;
  if (error instanceof UnavailableError || inUse.has(codeOf(error))) return exit.unreachable;
  if (error instanceof ConfigError || error instanceof MisconfiguredError) return exit.configuration;
  return known ? exit.failed : exit.internal;
}

/** What a port that cannot be listened on is refused with: somebody else may let go of it. */
const inUse: ReadonlySet<string | null> = new Set(['port_in_use', 'port_not_permitted', 'address_not_available']);
const codeOf = (error: Error): string | null => (error instanceof DomaindError ? error.code : null);

const never: Shutdown = { soft: new AbortController().signal, hard: new AbortController().signal };

const processIo: Io = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  ...(process.stderr.isTTY === true
    ? { progress: (text: string | null) => void process.stderr.write(`\r\x1b[K${text ?? ''}`) }
    : {}),
  environment: process.env,
  cwd: process.cwd(),
  width: process.stdout.columns || 80,
  isTty: process.stdout.isTTY === true,
};

/** Signals become stops: the first is soft, the second hard, and what does not leave then is left behind. */
function listenForSignals(): { readonly shutdown: Shutdown; readonly forced: () => number | null } {
  const soft = new AbortController();
  const hard = new AbortController();
  let forced: number | null = null;
  const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
    if (!soft.signal.aborted) return soft.abort(signal);
    forced = signal === 'SIGTERM' ? 143 : 130;
    const code = forced;
    hard.abort(signal);
    setTimeout(() => leave(code), lastGraceMs).unref();
  };
  process.on('SIGTERM', onSignal);
  // Ctrl-C comes to every process of a terminal: one of several is told to stop by the one that runs it.
  process.on('SIGINT', process.env[memberVariable] === undefined ? onSignal : () => undefined);
  return { shutdown: { soft: soft.signal, hard: hard.signal }, forced: () => forced };
}

/** Runs the command line of this process. A reader that has gone (`| head`) is no fault of ours. */
export async function runProcess(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
  const { shutdown, forced } = listenForSignals();
  const code = await main(argv, processIo, shutdown);
  leave(forced() ?? code);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  await runProcess(process.argv.slice(2));
}
