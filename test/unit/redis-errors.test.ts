import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RedisFault } from '../../src/broker/redis-errors.ts';
import { faultOf, isGroupLost, translated } from '../../src/broker/redis-errors.ts';
import { RedisReplyError, withoutCommand } from '../../src/connection/reply-of-redis.ts';
import { MisconfiguredError, UnavailableError } from '../../src/runtime/errors.ts';

const faults: readonly (readonly [RedisFault, string])[] = [
  ['no_group', "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"],
  ['no_group', "NOGROUP No such key 's' or consumer group 'g' script: 7a2f, on @user_script:5."],
  ['no_group', "ERR user_script:5: NOGROUP No such key 's' or consumer group 'g' script: 7a2f, on @user_script:5."],
  ['no_group', 'UNBLOCKED the stream key no longer exists'],
  ['too_large', 'ERR Protocol error: invalid bulk length'],
  ['too_large', 'ERR Protocol error: invalid multibulk length'],
  ['too_large', 'ERR Elements are too large to be stored'],
  ['refused', 'WRONGTYPE Operation against a key holding the wrong kind of value'],
  ['refused', 'ERR The stream has exhausted the last possible ID, unable to add more items'],
  ['refused', 'NOPERM this user has no permissions to access one of the keys used as arguments'],
  ['refused', "NOPERM User u has no permissions to access the 's' key"],
  [
    'refused',
    "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
  ],
  ['demoted', "READONLY You can't write against a read only replica. script: 7a2f, on @user_script:1."],
  ['demoted', "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."],
  ['demoted', 'UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)'],
  ['unavailable', "OOM command not allowed when used memory > 'maxmemory'."],
  [
    'unavailable',
    "ERR Error running script (call to f_7a2f): @user_script:1: -OOM command not allowed when used memory > 'maxmemory'.",
  ],
  ['unavailable', 'LOADING Redis is loading the dataset in memory'],
  ['unavailable', 'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.'],
  ['unavailable', 'CLUSTERDOWN The cluster is down'],
  ['unavailable', 'NOREPLICAS Not enough good replicas to write.'],
  ['unavailable', 'MOVED 3999 127.0.0.1:6381'],
  ['unavailable', 'ASK 3999 127.0.0.1:6381'],
  ['unavailable', 'TRYAGAIN Multiple keys request during rehashing of slot'],
  ['unavailable', 'MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.'],
  ['unavailable', 'EXECABORT Transaction discarded because of previous errors.'],
  ['unavailable', 'ERR max number of clients reached'],
  ['misconfigured', 'NOAUTH Authentication required.'],
  ['misconfigured', 'WRONGPASS invalid username-password pair or user is disabled.'],
  ['misconfigured', "NOPERM this user has no permissions to run the 'xadd' command"],
  ['misconfigured', "ERR The user executing the script can't run this command or subcommand"],
  ['misconfigured', "CROSSSLOT Keys in request don't hash to the same slot"],
  ['misconfigured', "ERR unknown command 'XAUTOCLAIM'"],
  ['misconfigured', 'ERR DB index is out of range'],
];

describe('The meaning of a reply of Redis', () => {
  for (const [fault, text] of faults) {
    it(`is ${fault} for: ${text.slice(0, 72)}`, () => assert.equal(faultOf(new RedisReplyError(text)), fault));
  }

  it('is unavailable where there is no reply', () => {
    assert.equal(faultOf(new UnavailableError('redis_timeout', 'no answer')), 'unavailable');
    assert.equal(faultOf(new Error('read ECONNRESET')), 'unavailable');
  });

  it('is misconfigured where the connection said so', () => {
    assert.equal(faultOf(new MisconfiguredError('redis_tls', 'certificate has expired')), 'misconfigured');
  });

  it('does not come from a name in the text', () => {
    assert.equal(faultOf(new RedisReplyError("ERR no such key 'OOM'")), 'misconfigured');
  });
});

describe('The error that a caller of the broker sees', () => {
  it('is UnavailableError for what passes by itself, with the code of the reply', () => {
    for (const text of ['OOM x', 'READONLY x', 'NOGROUP x']) {
      const error = translated(new RedisReplyError(text), 'broker "b": XADD');
      assert.ok(error instanceof UnavailableError);
      assert.equal(error.code, `redis_${text.split(' ')[0]?.toLowerCase()}`);
      assert.equal(error.message, `broker "b": XADD: ${text}`);
      assert.ok(error.cause instanceof RedisReplyError);
    }
  });

  it('is MisconfiguredError for what does not', () => {
    for (const text of ['WRONGTYPE x', 'NOAUTH x', 'ERR x', 'ERR Protocol error: invalid bulk length']) {
      assert.ok(translated(new RedisReplyError(text), 'b') instanceof MisconfiguredError);
    }
  });

  it('is itself where it is one already, and unavailable where it is nothing known', () => {
    const known = new UnavailableError('redis_timeout', 'x');
    assert.equal(translated(known, 'b'), known);
    assert.ok(translated(new TypeError('x'), 'b') instanceof UnavailableError);
  });

  it('tells a lost group from every other trouble', () => {
    assert.ok(isGroupLost(translated(new RedisReplyError('NOGROUP x'), 'b')));
    assert.ok(!isGroupLost(translated(new RedisReplyError('OOM x'), 'b')));
    assert.ok(!isGroupLost(new Error('NOGROUP x')));
  });
});

describe('An error of the driver', () => {
  it('loses the command that hangs on it, and arguments in its text', () => {
    const reply = Object.assign(new Error("ERR unknown command 'AUTH', with args beginning with: 's3cr3t' "), {
      name: 'ReplyError',
      command: { name: 'auth', args: ['s3cr3t'] },
    });
    const clean = withoutCommand(reply);
    assert.ok(clean instanceof RedisReplyError);
    assert.equal(clean.code, 'ERR');
    assert.equal(clean.message, "ERR unknown command 'AUTH'");
    assert.deepEqual(Object.getOwnPropertyNames(clean).sort(), ['code', 'message', 'name', 'stack']);
  });

  it('keeps the code of the system', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', command: { args: ['s3cr3t'] } });
    assert.deepEqual({ ...withoutCommand(reset) }, { code: 'ECONNRESET' });
  });

  it('is an error also where none was thrown', () => assert.ok(withoutCommand(undefined) instanceof Error));
});
