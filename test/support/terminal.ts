import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** A shell in a pseudo terminal of 80 columns, as a person has one. */
export interface Terminal {
  /** Types a line, and Enter. */
  type(line: string): void;
  /** Ctrl-C. */
  interrupt(): void;
  /** What came since the last `sees`, once it has this in it; rejects, with all that came, when it does not come. */
  sees(what: RegExp): Promise<string>;
  close(): Promise<void>;
}

/** By `script`, which every Debian has. */
export function openTerminal(
  cwd: string,
  environment: Readonly<Record<string, string>>,
  patienceMs = 20_000,
): Terminal {
  const child = spawn('script', ['-qec', 'stty cols 80 -echo; exec bash --norc --noprofile', '/dev/null'], {
    cwd,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, PS1: '$ ', TERM: 'dumb', ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const kill = () => {
    // The shell and what runs in it are a group of their own.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  process.once('exit', kill);
  let heard = '';
  let ended = false;
  let check = () => undefined as unknown;
  child.stdout.on('data', (chunk) => {
    heard += stripVTControlCharacters(String(chunk)).replaceAll('\r', '');
    check();
  });
  const end = new Promise<void>((resolve) =>
    child.once('close', () => {
      ended = true;
      check();
      resolve();
    }),
  );
  return {
    type: (line) => void child.stdin.write(`${line}\n`),
    interrupt: () => void child.stdin.write('\x03'),
    sees: (what) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          check = () => undefined;
          reject(new Error(`${what} did not come within ${patienceMs} ms:\n${heard}`));
        }, patienceMs);
        check = () => {
          const found = what.exec(heard);
          if (found !== null) {
            const until = found.index + found[0].length;
            resolve(heard.slice(0, until));
            heard = heard.slice(until);
            check = () => undefined;
            clearTimeout(late);
          } else if (ended) {
            clearTimeout(late);
            reject(new Error(`the terminal closed without ${what}:\n${heard}`));
          }
        };
        check();
      }),
    async close() {
      child.stdin.end('exit\n');
      kill();
      await end;
      process.off('exit', kill);
    },
  };
}
