import type { Command } from './command.ts';

type Load = () => Promise<Command>;

/** Each in a module of its own that is loaded when it is asked for: `version` needs no driver of a database. */
const all: { readonly [name: string]: Load } = {
  server: async () => (await import('./server.ts')).server,
  dev: async () => (await import('./dev.ts')).dev,
  init: async () => (await import('./init.ts')).init,
  check: async () => (await import('./check.ts')).check,
  doctor: async () => (await import('./doctor.ts')).doctor,
  types: async () => (await import('./types.ts')).types,
  config: async () => (await import('./config.ts')).configCommand,
  db: async () => (await import('./db.ts')).db,
  status: async () => (await import('./status.ts')).status,
  subscriptions: async () => (await import('./subscriptions.ts')).subscriptions,
  outbox: async () => (await import('./outbox.ts')).outbox,
  dlq: async () => (await import('./dlq.ts')).dlq,
  events: async () => (await import('./events.ts')).events,
  projection: async () => (await import('./projection.ts')).projection,
  explain: async () => (await import('./explain.ts')).explain,
  process: async () => (await import('./send.ts')).processCommand,
  raise: async () => (await import('./send.ts')).raiseCommand,
  publish: async () => (await import('./send.ts')).publishCommand,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheck,
  version: async () => (await import('./version-command.ts')).versionCommand,
};

/** Every command of `domaind`, by name, in the order of the help. */
export const commands: ReadonlyMap<string, Load> = new Map(Object.entries(all));
