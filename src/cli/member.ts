import cluster from 'node:cluster';
import { writeSync } from 'node:fs';
import type { Question, Reply } from '../telemetry/asker.ts';
import type { AskHealth } from '../telemetry/health-answers.ts';
import { refusal } from '../telemetry/http-server.ts';
import { memberVariable } from './member-variable.ts';
import type { Stalled } from './watchdog.ts';

/** What a worker process is given by the one that runs it. */
export interface MemberFacts {
  /** Counted from 1. */
  readonly number: number;
  /** Whether it is the one that prints the banner. */
  readonly speaks: boolean;
  /** Where all of them are asked for their health; null: nowhere. */
  readonly healthPort: number | null;
  /** Of the process that runs it: it writes the log of all. */
  readonly terminal: { readonly isTty: boolean; readonly columns: number };
}

/** What a worker process says. */
export type FromMember = Reply | { readonly kind: 'ready' };

/** Where it says who holds its event loop, a line of JSON each: the channel of messages needs an event loop itself. */
export const stalledFd = 4;

/** One process of several, as it sees itself. */
export interface Member extends MemberFacts {
  say(message: FromMember): void;
  /** Says it at once, from an event loop that stands still. */
  sayStalled(stalled: Stalled): void;
  /** Has questions answered from here on. */
  answer(ask: AskHealth): void;
}

/** Null in a process that is none of several. It does not outlive the one that runs it: it drains when that is gone. */
export function memberIn(environment: Readonly<Record<string, string | undefined>>): Member | null {
  const text = environment[memberVariable];
  const { worker } = cluster;
  if (text === undefined || worker === undefined) return null;
  // A border: written by the process that runs this one.
  const facts = JSON.parse(text) as MemberFacts;
  // Else Node would end this process at once, without its drain.
  worker.exitedAfterDisconnect = true;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  const say = (message: FromMember) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  return {
    ...facts,
    say,
    sayStalled(stalled) {
      try {
        writeSync(stalledFd, `${JSON.stringify(stalled)}\n`);
      } catch {
        // Nobody listens any more; the log has it.
      }
    },
    answer(ask) {
      process.on('message', (message: Question) => {
        if (message.kind !== 'ask') return;
        const { id, path, stores } = message;
        void ask(path, stores)
          .catch(() => refusal(500, 'internal', 'the request failed'))
          .then((answer) => say({ kind: 'reply', id, answer }));
      });
    },
  };
}
