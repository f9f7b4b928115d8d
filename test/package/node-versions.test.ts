import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

/** Set by scripts/test-package.mjs. */
const tarball = process.env['DOMAIND_TEST_TARBALL'] ?? '';
const nodes = (process.env['DOMAIND_TEST_NODES'] ?? '').split(':').filter((path) => path !== '');
assert.ok(tarball !== '' && nodes.length > 0, 'Run this by `npm run test:package`.');

const npm = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' }).stdout.trim();

for (const node of nodes) {
  describe(`the tarball on Node, ${basename(node)}`, () => {
    let folder: string;
    let environment: NodeJS.ProcessEnv;
    const npx = ['--yes', `--package=${tarball}`, '--', 'domaind'];

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'domaind-npx-'));
      const programs = join(folder, 'bin');
      mkdirSync(programs);
      symlinkSync(node, join(programs, 'node'));
      for (const name of ['npm', 'npx']) symlinkSync(join(npm, 'npm', 'bin', `${name}-cli.js`), join(programs, name));
      const own = Object.entries(process.env).filter(
        ([name]) => !/^(npm_|DOMAIND_|PROTEAN_|NODE_(OPTIONS|PATH|TEST))/i.test(name),
      );
      environment = {
        ...Object.fromEntries(own),
        PATH: `${programs}:/usr/bin:/bin`,
        npm_config_cache: join(folder, 'cache'),
        npm_config_update_notifier: 'false',
      };
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    function domaind(cwd: string, ...args: readonly string[]): string {
      const { status, stdout, stderr } = spawnSync('npx', [...npx, ...args], {
        cwd,
        env: environment,
        encoding: 'utf8',
        timeout: 300_000,
      });
      assert.equal(status, 0, stdout + stderr);
      return stdout;
    }
    const shop = () => join(folder, 'empty', 'shop');

    it('makes a domain in an empty folder', () => {
      mkdirSync(join(folder, 'empty'));
      assert.match(domaind(join(folder, 'empty'), 'init', 'shop'), /wrote the domain shop/);
    });

    it('checks it', () => {
      assert.match(domaind(shop(), 'check'), /sound, with 2 handlers/);
    });

    it('loads handlers in TypeScript, where Node does, and says what is missing where it does not', () => {
      const file = join(shop(), 'handlers', 'stock.ts');
      writeFileSync(
        file,
        `import { eventHandler } from 'domaind';
        export const Stock = eventHandler({ category: 'order', handles: { OrderPlaced: (event): void => void event } });`,
      );
      const { stdout } = spawnSync(node, ['-p', 'Boolean(process.features.typescript)'], { encoding: 'utf8' });
      const ran = spawnSync('npx', [...npx, 'check'], { cwd: shop(), env: environment, encoding: 'utf8' });
      rmSync(file);
      if (stdout.trim() === 'true') assert.match(ran.stdout, /sound, with 3 handlers/, ran.stderr);
      else assert.match(ran.stdout + ran.stderr, /handlers\/stock\.ts.* needs tsx or a newer Node/);
    });

    it('handles a message', async () => {
      const port = await freePort();
      const child = spawn('npx', [...npx, 'dev'], {
        cwd: shop(),
        env: { ...environment, HEALTH_PORT: '0', INGRESS_PORT: String(port), NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let heard = '';
      let check = () => {};
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          heard += String(chunk);
          check();
        });
      }
      let code: number | null = null;
      const ended = new Promise<void>((resolve) =>
        child.once('close', (status) => {
          code = status ?? -1;
          check();
          resolve();
        }),
      );
      const sees = (what: RegExp) =>
        new Promise<void>((resolve, reject) => {
          check = () => {
            if (what.test(heard)) resolve();
            else if (code !== null) reject(new Error(`ended with ${code}:\n${heard}`));
          };
          check();
        });
      try {
        await sees(/daemon\.ready/);
        const answer = await fetch(`http://127.0.0.1:${port}/commands/order/PlaceOrder`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{"order_id": "ord-1", "customer": "Ada"}',
        });
        assert.equal(answer.status, 202);
        await sees(/a letter goes out/);
      } finally {
        // npx and what it started are a group of their own.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGINT');
        await ended;
      }
      assert.match(heard, /daemon\.stopped/);
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
