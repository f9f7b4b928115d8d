import type { Config } from '../config/config.ts';
import type { PostgresqlConfig } from '../connection/postgresql.ts';
import { openDatabase } from '../connection/postgresql.ts';
import type { OutboxAdmin, OutboxStatus, RowFilter, RowIds } from '../outbox/outbox-admin.ts';
import { outboxStatuses } from '../outbox/outbox-admin.ts';
import { createPostgresqlOutboxAdmin } from '../outbox/postgresql-outbox-admin.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Arguments } from './arguments.ts';
import type { Io } from './io.ts';
import { durationIn } from './spans.ts';

/** What every `domaind outbox …` is given. */
export interface Asked {
  readonly given: Arguments;
  /** What comes after the name of the subcommand. */
  readonly subjects: readonly string[];
  readonly usage: string;
  readonly config: Config;
  readonly outboxes: readonly OutboxAdmin[];
  readonly io: Io;
  readonly shutdown: Shutdown;
}

/** Opens the outboxes that are asked for: one by `--database`, else all. Connects to nothing yet. */
export function openOutboxes(config: Config, database: string | null): readonly OutboxAdmin[] {
  if (config.outbox === null) {
    throw new MisconfiguredError('no_outbox', 'there is no outbox: enable_outbox is false in domain.toml');
  }
  const open = (each: PostgresqlConfig) => createPostgresqlOutboxAdmin(openDatabase(each, { notice: () => undefined }));
  return chosen(config, database).map(open);
}

function chosen({ databases }: Config, name: string | null): readonly PostgresqlConfig[] {
  const all = [...databases.values()].flatMap((each) => (each.provider === 'postgresql' ? [each] : []));
  const found = name === null ? all : all.filter((each) => each.name === name);
  if (found.length > 0) return found;
  if (name !== null && !databases.has(name)) {
    const known = [...databases.keys()].join(', ') || 'none';
    throw new UsageError(`there is no [databases.${name}]; defined: ${known}`);
  }
  throw new MisconfiguredError(
    'in_memory',
    'an outbox of provider "memory" lives inside the daemon: this command needs a database of provider postgresql',
  );
}

/** The one outbox that ids are of. */
export function theOutbox({ outboxes, usage }: Asked): OutboxAdmin {
  const [only, ...more] = outboxes;
  if (only !== undefined && more.length === 0) return only;
  const names = outboxes.map(({ database }) => database).join(', ');
  throw new UsageError(`--database is needed, one of ${names}: ids are of one database\nusage: ${usage}`);
}

/** Digits alone are row ids, all else is message ids. */
export function idsIn({ subjects, usage }: Asked): RowIds {
  if (subjects.length === 0) throw new UsageError(`an ID is needed: of a row, or of a message\nusage: ${usage}`);
  const isRow = (id: string) => /^\d{1,18}$/.test(id);
  return { rows: subjects.filter(isRow), messages: subjects.filter((id) => !isRow(id)) };
}

/** `--stream`, `--type`, `--older-than`. */
export function filterIn({ given }: Asked): RowFilter {
  const olderThan = given.text('older-than');
  return {
    stream: given.text('stream'),
    type: given.text('type'),
    olderThanMs: olderThan === null ? null : durationIn(olderThan, '--older-than'),
  };
}

/** `--status failed,abandoned`, each one of `known`; null where the option is absent. */
export function statusesIn<S extends OutboxStatus>({ given, usage }: Asked, known: readonly S[]): readonly S[] | null {
  const text = given.text('status');
  if (text === null) return null;
  return text.split(',').map((each) => {
    const status = known.find((one) => one === each);
    if (status !== undefined) return status;
    const all: readonly string[] = outboxStatuses;
    const why = all.includes(each) ? `cannot be ${each} here` : `is not "${each}"`;
    throw new UsageError(`--status ${why}: ${known.join(', ')}\nusage: ${usage}`);
  });
}

export function refuseSubjects({ subjects, usage }: Asked): void {
  if (subjects.length > 0) throw new UsageError(`unexpected "${subjects[0]}"\nusage: ${usage}`);
}
