import type { Problem } from '../outbox/schema/check.ts';
import { skewWords } from './check-brokers.ts';
import type { DatabaseFacts, Unreached } from './facts.ts';
import { isUnreached } from './facts.ts';
import type { Finding, FindingCode } from './finding.ts';

const mostSkewMs = 1_000;

/** What keeps databases from doing their part. Pure. */
export const checkDatabases = (databases: readonly DatabaseFacts[]): readonly Finding[] =>
  databases.flatMap(checkDatabase);

function checkDatabase({ name, state }: DatabaseFacts): readonly Finding[] {
  const subject = `database "${name}"`;
  if (isUnreached(state)) return [unreached(name, state)];
  const { server, problems, encrypted, local, pooled, direct, deaf, skewMs, skewErrorMs } = state;
  const found: Finding[] = problems.map((problem) => ofProblem(problem, subject, server));
  if (deaf !== null) {
    found.push(
      pooled && !direct
        ? {
            code: 'pooler_listen',
            severity: 'warning',
            subject,
            what: 'is behind a connection pooler in transaction mode, through which LISTEN hears nothing',
            evidence: deaf,
            mend: `set [databases.${name}] direct_uri to the server itself, or [outbox] hint = false to poll alone`,
          }
        : {
            code: 'notify_deaf',
            severity: 'warning',
            subject,
            what: 'does not pass on notifications, so the relay polls',
            evidence: deaf,
            mend: `let [databases.${name}] direct_uri name the server itself, not a pooler or a proxy`,
          },
    );
  }
  if (Math.abs(skewMs) - skewErrorMs > mostSkewMs) {
    const [what, evidence, mend] = skewWords(skewMs, 'PostgreSQL');
    found.push({ code: 'clock_skew', severity: 'warning', subject, what, evidence, mend });
  }
  if (!encrypted && !local) {
    const mend = `add sslmode=verify-full to [databases.${name}] database_uri where the network between is not your own`;
    const evidence = 'pg_stat_ssl: ssl is false, and the host is not this machine';
    found.push({ code: 'not_encrypted', severity: 'note', subject, what: 'is reached without TLS', evidence, mend });
  }
  return found;
}

const codes: { readonly [code: string]: FindingCode } = {
  version_old: 'table_version',
  version_new: 'table_version',
  grant_missing: 'grant_missing',
  index_missing: 'index_missing',
};

const ofProblem = ({ code, what, mend }: Problem, subject: string, server: string): Finding => ({
  code: codes[code] ?? 'table_wrong',
  severity: code === 'index_missing' ? 'warning' : 'error',
  subject,
  what:
    code === 'version_old' || code === 'version_new'
      ? `has tables of another version: ${what}`
      : `is not ready: ${what}`,
  evidence: `the catalog of PostgreSQL ${server} (${code})`,
  mend,
});

const reasons: { readonly [code: string]: readonly [FindingCode, what: string, mend: string] } = {
  database_tls: [
    'database_tls',
    'cannot be trusted by TLS',
    'mend sslmode, sslrootcert or the certificate of the server',
  ],
  database_login: ['database_login', 'turns us away', 'mend the user and the password'],
  database_missing: ['database_missing', 'is not on its server', 'createdb it, or mend the name'],
};

function unreached(name: string, { code, message }: Unreached): Finding {
  const subject = `database "${name}"`;
  const place = `[databases.${name}] database_uri`;
  const [kind, what, mend] = reasons[code] ?? [
    'database_unreachable',
    'cannot be reached',
    'start PostgreSQL, or mend the address; `psql "<database_uri>" -c "select 1"` must answer',
  ];
  return { code: kind, severity: 'error', subject, what, evidence: message, mend: `${mend} (${place})` };
}
