import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { configReference } from '../../scripts/config-reference.ts';

describe('the configuration page', () => {
  it('is what scripts/config-reference.ts makes of the schema', () => {
    const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    assert.equal(
      page,
      configReference(),
      'run: node --conditions=domaind-source --import tsx scripts/config-reference.ts',
    );
  });
});
