import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redisAddressOf } from '../../src/connection/server-address.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';

const plain = { host: 'localhost', port: 6379, username: null, password: null, database: 0 };

describe('The address of a Redis', () => {
  const addresses: readonly (readonly [string, object])[] = [
    ['redis://localhost', plain],
    ['redis://localhost:6380/', { ...plain, port: 6380 }],
    ['redis://localhost/3', { ...plain, database: 3 }],
    ['redis://localhost?db=4', { ...plain, database: 4 }],
    ['rediss://:p%40ss%2Fw%23rd@localhost', { ...plain, password: 'p@ss/w#rd' }],
    [
      'redis://worker:secret@10.0.0.7:6390/1',
      { host: '10.0.0.7', port: 6390, username: 'worker', password: 'secret', database: 1 },
    ],
    ['redis://[::1]:6379', { ...plain, host: '::1' }],
  ];
  for (const [uri, address] of addresses) {
    it(`is read from ${uri}`, () => assert.deepEqual(redisAddressOf(uri), address));
  }

  const malformed = [
    '',
    'localhost',
    'http://localhost',
    'redis://',
    'redis://host:99999',
    'redis://host/one',
    'redis://:%zz@host',
  ];
  for (const uri of malformed) {
    it(`is not read from "${uri}"`, () => assert.throws(() => redisAddressOf(uri), MisconfiguredError));
  }

  it('is never repeated in the error', () => {
    assert.throws(
      () => redisAddressOf('redis://user:s3cr3t/word@host'),
      (error) => error instanceof MisconfiguredError && !`${error.stack}${error.cause}`.includes('s3cr3t'),
    );
  });
});
