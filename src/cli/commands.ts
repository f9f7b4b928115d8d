import { check } from './check.ts';
import type { Command } from './command.ts';
import { configCommand } from './config.ts';
import { db } from './db.ts';
import { dev } from './dev.ts';
import { dlq } from './dlq.ts';
import { healthcheck } from './healthcheck.ts';
import { outbox } from './outbox.ts';
import { processCommand, publishCommand, raiseCommand } from './send.ts';
import { server } from './server.ts';
import { status } from './status.ts';
import { subscriptions } from './subscriptions.ts';
import { versionCommand } from './version-command.ts';

const all: readonly Command[] = [
  server,
  dev,
  check,
  configCommand,
  db,
  status,
  subscriptions,
  outbox,
  dlq,
  processCommand,
  raiseCommand,
  publishCommand,
  healthcheck,
  versionCommand,
];

/** Every command of `domaind`, by name, in the order of the help. */
export const commands: ReadonlyMap<string, Command> = new Map(all.map((command) => [command.name, command]));
