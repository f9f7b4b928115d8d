import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { adviceIn } from '../../src/broker/redis-advice.ts';
import { MisconfiguredError } from '../../src/runtime/errors.ts';
import type { RedisReply, RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';

const infoOf = (version: string) => `# Server\r\nredis_version:${version}\r\nrole:master\r\naof_enabled:1\r\n`;
const textOf = (reply: RedisReply | undefined): string => String(reply);

describe('versions of Redis', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis({ shared: true });
  });
  after(() => redis.stop());

  for (const version of ['5.0.14', '6.0.20', '6.1.240']) {
    it(`before 6.2 are refused with a sentence: ${version}`, () =>
      assert.throws(
        () => adviceIn(infoOf(version), 'default'),
        (error) =>
          error instanceof MisconfiguredError &&
          error.code === 'redis_version' &&
          error.message ===
            `broker "default": this is Redis ${version}; domaind needs 6.2 or later: upgrade the server`,
      ));
  }

  for (const version of ['6.2.0', '6.2.14', '7.0.15', '8.10.1', 'unknown']) {
    it(`from 6.2 on are taken: ${version}`, () => assert.deepEqual(adviceIn(infoOf(version), 'default'), []));
  }

  it('need no command that came after 6.2, by what the server says of those that the least rights name', async () => {
    const page = readFileSync(new URL('../../docs/redis.md', import.meta.url), 'utf8');
    const [line = ''] = /^ACL SETUSER domaind .*$/m.exec(page) ?? [];
    const commands = line.split(' ').flatMap((each) => (each.startsWith('+') ? [each.slice(1)] : []));
    assert.ok(commands.length > 20);
    for (const command of commands) {
      const [name = '', subcommand] = command.split('|');
      const reply = await redis.cli('COMMAND', 'DOCS', name);
      assert.ok(Array.isArray(reply) && reply.length === 2, `${name} is a command`);
      const found = subcommand === undefined ? reply[1] : fieldOf(fieldOf(reply[1], 'subcommands'), command);
      const [major = 0, minor = 0] = textOf(fieldOf(found, 'since')).split('.').map(Number);
      assert.ok(major < 6 || (major === 6 && minor <= 2), `${command} is of ${major}.${minor}`);
    }
  });
});

/** The value of a name in a reply of names and values by turns. */
function fieldOf(reply: RedisReply | undefined, name: string): RedisReply | undefined {
  if (!Array.isArray(reply)) return undefined;
  const at = reply.findIndex((each, index) => index % 2 === 0 && textOf(each) === name);
  return at === -1 ? undefined : reply[at + 1];
}
