/** error: messages are lost, refused or wait. warning: they will be, one day. note: worth knowing, nothing is wrong. */
export type Severity = 'error' | 'warning' | 'note';

/** One thing that is not as it should be, with its proof and its mend. */
export interface Finding {
  /** Stable snake_case: alerts and scripts match on it. */
  readonly code: FindingCode;
  readonly severity: Severity;
  /** What it is about: `broker "default"`, `database "default"`, a stream, a handler. */
  readonly subject: string;
  /** What is wrong, as the end of a sentence that begins with the subject. */
  readonly what: string;
  /** What was seen that proves it. Holds no payload and no secret. */
  readonly evidence: string;
  /** What to type, or to set, and where. */
  readonly mend: string;
}

/**
 * Every kind of finding, causes before their effects: a server that is away explains why rows wait, never the other way
 * round. Of the same severity the earlier one is told first.
 */
export const findingCodes = [
  'database_tls',
  'database_login',
  'database_missing',
  'database_unreachable',
  'broker_tls',
  'broker_login',
  'broker_unreachable',
  'table_version',
  'table_wrong',
  'grant_missing',
  'broker_disk',
  'broker_memory_full',
  'broker_replica',
  'broker_refuses',
  'broker_privileges',
  'eviction',
  'pooler_listen',
  'notify_deaf',
  'group_missing',
  'relay_stopped',
  'poison',
  'entries_stranded',
  'no_consumer',
  'rows_abandoned',
  'dead_letters',
  'rows_failed',
  'rows_wait',
  'entry_retried',
  'memory_short',
  'not_persistent',
  'clock_skew',
  'stream_grows',
  'group_without_handler',
  'consumer_left',
  'index_missing',
  'not_encrypted',
] as const;
export type FindingCode = (typeof findingCodes)[number];

const severities: readonly Severity[] = ['error', 'warning', 'note'];

/** The worst first, and of those as bad the cause before what comes of it. */
export const inOrder = (findings: readonly Finding[]): readonly Finding[] =>
  [...findings].sort(
    (a, b) =>
      severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
      findingCodes.indexOf(a.code) - findingCodes.indexOf(b.code) ||
      a.subject.localeCompare(b.subject),
  );

/** Whether anything needs to be done. */
export const isSick = (findings: readonly Finding[]): boolean => findings.some(({ severity }) => severity !== 'note');
