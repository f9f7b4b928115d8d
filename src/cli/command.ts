import type { Shutdown } from '../runtime/service.ts';
import type { Io } from './io.ts';

/** One command of `domaind`: one file in this folder. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The lines of `--help`: usage, options, an example. */
  readonly help: string;
  /** Answers the exit code. Throws UsageError, ConfigError and the errors of its dependencies: main translates them. */
  run(argv: readonly string[], io: Io, shutdown: Shutdown): Promise<number>;
}
