import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { commandsReference } from '../../scripts/commands-reference.ts';

describe('the page of commands', () => {
  it('is what scripts/commands-reference.ts makes of their help', async () => {
    const page = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
    assert.equal(
      page,
      await commandsReference(),
      'run: node --conditions=domaind-source --import tsx scripts/commands-reference.ts',
    );
  });
});
