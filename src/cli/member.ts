import type { Server } from 'node:net';
import type { Question, Reply } from '../telemetry/asker.ts';
import type { AskHealth } from '../telemetry/health-answers.ts';
import { refusal } from '../telemetry/http-server.ts';
import type { Stalled } from './watchdog.ts';

/** Set in the environment of a process that is one of several: see workers.ts. */
export const memberVariable = 'DOMAIND_WORKER';

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
export type FromMember =
  | Reply
  | { readonly kind: 'ready' }
  | ({ readonly kind: 'stalled' } & Stalled)
  /** It is to have the socket that all take messages from. */
  | { readonly kind: 'ingress_wanted' };

/** What it is told. */
export type ToMember = Question | { readonly kind: 'ingress' };

/** One process of several, as it sees itself. */
export interface Member extends MemberFacts {
  say(message: FromMember): void;
  /** Has questions answered from here on. */
  answer(ask: AskHealth): void;
  /** The socket that all of them take messages from. */
  ingress(): Promise<Server>;
}

/** Null in a process that is none of several. */
export function memberIn(environment: Readonly<Record<string, string | undefined>>): Member | null {
  const text = environment[memberVariable];
  if (text === undefined || process.send === undefined) return null;
  // A border: written by the process that runs this one.
  const facts = JSON.parse(text) as MemberFacts;
  const say = (message: FromMember) => {
    // Who asked may be gone: then this process is told to stop.
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  return {
    ...facts,
    say,
    answer(ask) {
      process.on('message', (message: ToMember) => {
        if (message.kind !== 'ask') return;
        const { id, path, stores } = message;
        void ask(path, stores)
          .catch(() => refusal(500, 'internal', 'the request failed'))
          .then((answer) => say({ kind: 'reply', id, answer }));
      });
      process.channel?.unref();
    },
    ingress: () =>
      new Promise((resolve) => {
        process.on('message', (message: ToMember, handle) => {
          if (message.kind === 'ingress') resolve(handle as Server);
        });
        say({ kind: 'ingress_wanted' });
      }),
  };
}
