import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/main.ts';
import type { Shutdown } from '../../src/runtime/service.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What a command printed with `--json`. */
  json<T>(): T;
}

export interface RunOptions {
  readonly cwd: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly isTty?: boolean;
  readonly shutdown?: Shutdown;
  /** Shown each line of stdout as it comes. */
  readonly onOut?: (text: string) => void;
  /** The same for stderr. */
  readonly onErr?: (text: string) => void;
}

const never: Shutdown = { soft: new AbortController().signal, hard: new AbortController().signal };

/** Runs one command line in this process: much quicker than a process of its own. The terminal has 80 columns. */
export async function run(argv: readonly string[], options: RunOptions): Promise<Ran> {
  const { cwd, environment = {}, isTty = false, shutdown = never, onOut, onErr } = options;
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out(text) {
      out.push(text);
      onOut?.(text);
    },
    err(text) {
      err.push(text);
      onErr?.(text);
    },
    environment,
    cwd,
    width: 80,
    isTty,
  };
  const code = await main(argv, io, shutdown);
  const text = out.join('\n');
  return { code, out: text, err: err.join('\n'), json: <T>() => JSON.parse(text) as T };
}
