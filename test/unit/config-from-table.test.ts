import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromTable } from '../../src/config/from-table.ts';
import { ConfigError } from '../../src/runtime/errors.ts';

const brokers = { default: { provider: 'inline' } };

describe('a configuration without a file', () => {
  it('is what a file with the same table would be', () => {
    const { domain, outbox, file } = configFromTable(
      { name: 'Book Shop', brokers, outbox: { tick_interval: 2 } },
      '/app/domain.toml',
    );
    assert.equal(domain.normalized, 'book_shop');
    assert.equal(outbox?.pollEveryMs, 2000);
    assert.equal(file, '/app/domain.toml');
  });

  it('is refused with every fault at once', () => {
    const table = { brokers, outbox: { tick_intervall: 2, messages_per_tick: '10' }, custom: { since: new Date(0) } };
    assert.throws(
      () => configFromTable(table, '/app/domain.toml'),
      new ConfigError([
        { code: 'date', where: 'settings', message: '[custom] since: dates are not used here: write it as a string' },
        {
          code: 'unknown_key',
          where: 'settings',
          message: '[outbox] tick_intervall: unknown key (did you mean "tick_interval"?)',
        },
        {
          code: 'wrong_type',
          where: 'settings',
          message: '[outbox] messages_per_tick: expected a whole number of rows, got the string "10"',
        },
      ]),
    );
  });
});
