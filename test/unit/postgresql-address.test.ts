import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { postgresqlAddressOf } from '../../src/connection/address-of-postgresql.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';

describe('a PostgreSQL URI', () => {
  it('says who we are, where the server is, and which database is meant', () => {
    assert.deepEqual(postgresqlAddressOf('postgresql://app:p%40ss%3Aword@db.example:6432/book%20shop'), {
      hosts: [{ host: 'db.example', port: 6432 }],
      user: 'app',
      password: 'p@ss:word',
      database: 'book shop',
      tls: false,
      parameters: {},
    });
  });

  it('may leave out everything but the scheme', () => {
    const { hosts, user, password, database } = postgresqlAddressOf('postgres://');
    assert.deepEqual([hosts, user, password, database], [[{ host: 'localhost', port: 5432 }], null, null, null]);
  });

  it('may name a driver, as SQLAlchemy’s do', () => {
    assert.equal(postgresqlAddressOf('postgresql+psycopg2://localhost/shop').database, 'shop');
  });

  const places: readonly (readonly [string, readonly object[]])[] = [
    ['postgresql://[::1]:5433/x', [{ host: '::1', port: 5433 }]],
    [
      'postgresql://one,two:5433/x',
      [
        { host: 'one', port: 5432 },
        { host: 'two', port: 5433 },
      ],
    ],
    ['postgresql://%2Fvar%2Frun%2Fpostgresql/x', [{ host: '/var/run/postgresql', port: 5432 }]],
    ['postgresql:///x?host=/var/run/postgresql&port=5433', [{ host: '/var/run/postgresql', port: 5433 }]],
    [
      'postgresql:///x?host=one,two',
      [
        { host: 'one', port: 5432 },
        { host: 'two', port: 5432 },
      ],
    ],
  ];
  for (const [uri, hosts] of places) {
    it(`finds the server in ${uri}`, () => assert.deepEqual(postgresqlAddressOf(uri).hosts, hosts));
  }

  it('passes on what is said to the server, and reads the rest', () => {
    const uri = 'postgresql://h/x?application_name=shop&user=app&password=pw&dbname=y&connect_timeout=3';
    const { parameters, user, password, database } = postgresqlAddressOf(uri);
    assert.deepEqual([parameters, user, password, database], [{ application_name: 'shop' }, 'app', 'pw', 'y']);
  });

  const modes: readonly (readonly [string, unknown])[] = [
    ['disable', false],
    ['allow', 'prefer'],
    ['prefer', 'prefer'],
    ['require', 'require'],
    ['verify-full', {}],
  ];
  for (const [mode, tls] of modes) {
    it(`with sslmode=${mode} speaks TLS as libpq does`, () => {
      assert.deepEqual(postgresqlAddressOf(`postgresql://h/x?sslmode=${mode}`).tls, tls);
    });
  }

  it('with sslmode=verify-ca checks the certificate but not the name', () => {
    const { tls } = postgresqlAddressOf('postgresql://h/x?sslmode=verify-ca');
    assert.ok(typeof tls === 'object' && tls.rejectUnauthorized === undefined && tls.checkServerIdentity);
  });

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['mysql://u:s3cr3t@h/x', /must be postgresql:\/\//],
    ['postgresql://u:s3@cr3t@h/x', /percent-encode the password/],
    ['postgresql://u:s3/cr3t@h/x', /percent-encode the password/],
    ['postgresql://u:s3#cr3t@h/x', /percent-encode the password/],
    ['postgresql://u:s3cr3t%zz@h/x', /a % must be followed/],
    ['postgresql://u:s3cr3t@h:99999/x', /port from 1 to 65535/],
    ['postgresql://u:s3cr3t@h:port/x', /port from 1 to 65535/],
    ['postgresql://u:s3cr3t@h/x?sslmode=maybe', /sslmode is one of/],
    ['postgresql://u:s3cr3t@h/x?sslmod=require', /the parameter "sslmod" is not known/],
    ['postgresql://u:s3cr3t@h/x?sslrootcert=/not/there', /\/not\/there cannot be read/],
    ['s3cr3t', /must be postgresql/],
  ];
  for (const [uri, message] of wrong) {
    it(`${uri} is refused, and nothing secret is said`, () => {
      assert.throws(
        () => postgresqlAddressOf(uri),
        (error: Error) => {
          assert.ok(error instanceof MisconfiguredError);
          assert.match(error.message, message);
          const all = [error.message, error.stack, String(error.cause)].join();
          return !/s3|cr3t/.test(all.replaceAll('test/unit', ''));
        },
      );
    });
  }
});
