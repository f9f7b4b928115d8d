import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isConnectionLoss, toDatabaseError } from '../../src/connection/errors-of-postgresql.ts';
import { DomaindError, MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';

const saying = (code: string) =>
  Object.assign(new Error('Key (email)=(s3cr3t) at postgresql://u:s3cr3t@h'), { code, detail: 's3cr3t' });

describe('what PostgreSQL and its driver say', () => {
  const outages: readonly (readonly [string, string])[] = [
    ['ECONNREFUSED', 'database_unreachable'],
    ['ECONNRESET', 'database_unreachable'],
    ['EPIPE', 'database_unreachable'],
    ['ETIMEDOUT', 'database_unreachable'],
    ['ENOTFOUND', 'database_unreachable'],
    ['EAI_AGAIN', 'database_unreachable'],
    ['CONNECT_TIMEOUT', 'database_unreachable'],
    ['CONNECTION_CLOSED', 'database_unreachable'],
    ['CONNECTION_DESTROYED', 'database_unreachable'],
    ['CONNECTION_ENDED', 'database_unreachable'],
    ['08006', 'database_unreachable'],
    ['08P01', 'database_unreachable'],
    ['57P01', 'database_unreachable'],
    ['57P03', 'database_unreachable'],
    ['25006', 'database_read_only'],
    ['53300', 'database_overloaded'],
    ['53100', 'database_overloaded'],
    ['58030', 'database_overloaded'],
    ['40001', 'database_conflict'],
    ['40P01', 'database_conflict'],
    ['55P03', 'database_conflict'],
    ['57014', 'database_timeout'],
  ];
  for (const [said, code] of outages) {
    it(`${said} is waited out, as ${code}`, () => {
      const error = toDatabaseError(saying(said), 'default');
      assert.ok(error instanceof UnavailableError);
      assert.equal(error.code, code);
    });
  }

  const faults: readonly (readonly [string, string, RegExp])[] = [
    ['42P01', 'database_schema', /domaind db setup/],
    ['42703', 'database_schema', /domaind db setup/],
    ['42883', 'database_schema', /domaind db setup/],
    ['3F000', 'database_schema', /domaind db setup/],
    ['42501', 'database_grant', /domaind server --dry-run/],
    ['28P01', 'database_login', /database_uri/],
    ['28000', 'database_login', /database_uri/],
    ['SASL_SIGNATURE_MISMATCH', 'database_login', /password/],
    ['3D000', 'database_missing', /database_uri/],
    ['CERT_HAS_EXPIRED', 'database_tls', /certificates/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'database_tls', /certificates/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'database_tls', /certificates/],
  ];
  for (const [said, code, mend] of faults) {
    it(`${said} is somebody’s to mend, as ${code}`, () => {
      const error = toDatabaseError(saying(said), 'default');
      assert.ok(error instanceof MisconfiguredError);
      assert.equal(error.code, code);
      assert.match(error.message, mend);
    });
  }

  it('keeps the cause, and repeats none of its words', () => {
    for (const code of [...outages, ...faults, ['23505'] as const, ['22P02'] as const].map(([said]) => said)) {
      const cause = saying(code);
      const error = toDatabaseError(cause, 'default');
      assert.equal(error.cause, cause);
      assert.ok(!error.message.includes('s3cr3t'));
      assert.match(error.message, /^database "default" /);
    }
  });

  it('is neither where a statement is at fault, or what was thrown is no error at all', () => {
    for (const thrown of [saying('23505'), new Error('plain'), null, 'text']) {
      const error = toDatabaseError(thrown, 'default');
      assert.ok(error instanceof DomaindError);
      assert.equal(error.code, 'database_refused');
      assert.ok(!(error instanceof UnavailableError) && !(error instanceof MisconfiguredError));
    }
  });

  it('is left alone where it has been sorted already', () => {
    const error = new UnavailableError('database_timeout', 'x');
    assert.equal(toDatabaseError(error, 'default'), error);
  });

  it('tells the end of a connection from the end of a statement', () => {
    assert.ok(isConnectionLoss(saying('CONNECTION_CLOSED')) && isConnectionLoss(saying('57P01')));
    assert.ok(!isConnectionLoss(saying('57014')) && !isConnectionLoss(saying('23505')) && !isConnectionLoss(null));
  });
});
