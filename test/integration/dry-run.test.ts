import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { withFolder } from '../support/config-folder.ts';
import { run } from '../support/run-command.ts';

const handler = `import { eventHandler } from 'domaind';
export const Mail = eventHandler({ category: 'order', handles: { OrderPlaced: () => {} } });`;

describe('domaind server --dry-run', () => {
  it('shows the plan beside a daemon that runs: it listens nowhere', async () => {
    const occupied = createServer();
    await new Promise<void>((resolve) => occupied.listen(0, '127.0.0.1', resolve));
    const address = occupied.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const toml = `name = "shop"\n[brokers.default]\nprovider = "inline"\n[handlers]\npath = "handlers"\n[server.health]\nport = ${port}\n[logging]\nlevel = "silent"\n`;
    const files = { 'domain.toml': toml, 'handlers/mail.mjs': handler };
    try {
      await withFolder(files, async (cwd) => {
        const { code, json } = await run(['server', '--dry-run', '--json'], { cwd });
        assert.equal(code, 0);
        const [only] = json<Record<string, unknown>[]>();
        assert.deepEqual(
          [only?.['handler'], only?.['group'], only?.['streams'], only?.['type']],
          ['Mail', 'shop.Mail', ['shop::order'], 'stream'],
        );
        const { out } = await run(['server', '--dry-run'], { cwd, isTty: true });
        assert.match(out, /^Mail +shop::order +stream +- +shop\.Mail$/m);
        assert.doesNotMatch(out, /readyz/);
      });
    } finally {
      occupied.close();
    }
  });
});
