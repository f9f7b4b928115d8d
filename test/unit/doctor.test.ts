import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkBrokers } from '../../src/doctor/check-brokers.ts';
import { checkDatabases } from '../../src/doctor/check-databases.ts';
import { checkFlow } from '../../src/doctor/check-flow.ts';
import type { BrokerFacts, DatabaseFacts, RedisServerFacts, StreamFacts } from '../../src/doctor/facts.ts';
import { inOrder, isSick } from '../../src/doctor/finding.ts';

const server: RedisServerFacts = {
  version: '7.0.15',
  role: 'master',
  replicas: 0,
  evictionPolicy: 'noeviction',
  appendOnly: true,
  snapshots: true,
  lastSnapshotFailed: false,
  lastAppendFailed: false,
  usedBytes: 10,
  maxBytes: 100,
  systemBytes: 1_000,
  skewMs: 0,
  skewErrorMs: 1,
  refusal: null,
  forbidden: [],
  encrypted: false,
  local: true,
};
const broker = (more: Partial<RedisServerFacts>, streams: readonly StreamFacts[] = []): BrokerFacts => ({
  name: 'default',
  provider: 'redis',
  foreign: false,
  server: { ...server, ...more },
  streams,
});
const stream: StreamFacts = {
  stream: 'shop::order',
  exists: true,
  length: 10,
  added: 10,
  groups: [],
  retention: 100,
  wanted: [],
  deadLetters: 0,
  lastCause: null,
};
const group = { group: 'shop.Mail', pending: 0, read: 0, lag: 10, consumers: [], worst: null };
const wanted = { handler: 'Mail', group: 'shop.Mail', aliveMs: 1_000 };

describe('what doctor finds of a broker', () => {
  const rows: readonly (readonly [what: string, Partial<RedisServerFacts>, code: string, mend: RegExp])[] = [
    ['deletes keys', { evictionPolicy: 'volatile-lru' }, 'eviction', /maxmemory-policy noeviction/],
    ['keeps nothing', { appendOnly: false }, 'not_persistent', /appendonly yes/],
    ['is nearly full', { usedBytes: 81 }, 'memory_short', /maxmemory/],
    ['is nearly as large as its machine', { usedBytes: 801, maxBytes: null }, 'memory_short', /maxmemory/],
    ['is full', { refusal: 'OOM command not allowed' }, 'broker_memory_full', /CONFIG SET maxmemory/],
    ['cannot write its log', { lastAppendFailed: true }, 'broker_disk', /free space/],
    ['could not write its snapshot', { lastSnapshotFailed: true }, 'broker_disk', /CONFIG GET dir/],
    ['is a replica', { refusal: 'READONLY You can’t write', role: 'slave' }, 'broker_replica', /primary/],
    ['forbids commands', { forbidden: ['XCLAIM', 'XGROUP|CREATE'] }, 'broker_privileges', /\+xclaim \+xgroup\|create/],
    ['has another clock', { skewMs: -5_000 }, 'clock_skew', /NTP/],
    ['speaks in the clear over a network', { local: false }, 'not_encrypted', /rediss:/],
  ];
  for (const [what, facts, code, mend] of rows) {
    it(`that ${what} is ${code}, with its mend`, () => {
      const found = checkBrokers([broker(facts)]);
      assert.deepEqual(
        found.map((each) => each.code),
        [code],
      );
      assert.match(found[0]?.mend ?? '', mend);
    });
  }

  it('is nothing where nothing is wrong', () => {
    assert.deepEqual(checkBrokers([broker({})]), []);
  });

  it('that is of others is no error when it is away', () => {
    const away = { code: 'redis_unreachable', message: 'ECONNREFUSED', away: true };
    const [found] = checkBrokers([{ ...broker({}), foreign: true, server: away }]);
    assert.equal(found?.severity, 'warning');
  });
});

describe('what doctor finds of a stream', () => {
  const found = (more: Partial<StreamFacts>) => checkFlow([], [broker({}, [{ ...stream, ...more }])], 'shop');

  it('that nobody reads is no_consumer', () => {
    const [only, ...others] = found({ wanted: [wanted], groups: [group] });
    assert.equal(only?.code, 'no_consumer');
    assert.match(only?.evidence ?? '', /10 entries unread; consumers: none/);
    assert.deepEqual(others, []);
  });

  it('is nothing where a consumer lives', () => {
    const consumers = [{ name: 'a', pending: 3, idleMs: 10 }];
    assert.deepEqual(found({ wanted: [wanted], groups: [{ ...group, consumers }] }), []);
  });

  it('with a group of this domain that is no handler is group_without_handler, of another domain nothing', () => {
    const codes = found({ groups: [group, { ...group, group: 'other.Mail' }] }).map(({ code }) => code);
    assert.deepEqual(codes, ['group_without_handler']);
  });

  it('that is far beyond its wish is stream_grows, and says who holds it', () => {
    const consumers = [{ name: 'a', pending: 0, idleMs: 10 }];
    const [only] = found({ length: 1_000, wanted: [wanted], groups: [{ ...group, lag: 900, consumers }] });
    assert.equal(only?.code, 'stream_grows');
    assert.match(only?.evidence ?? '', /1000 entries, wished for 100; group shop\.Mail has not taken 900 of them/);
  });

  it('with entries of the dead and others that live is a warning only', () => {
    const consumers = [
      { name: 'dead', pending: 2, idleMs: 60_000 },
      { name: 'alive', pending: 0, idleMs: 5 },
    ];
    const [only] = found({ wanted: [wanted], groups: [{ ...group, pending: 2, consumers }] });
    assert.deepEqual([only?.code, only?.severity], ['entries_stranded', 'warning']);
  });
});

describe('what doctor finds of an outbox', () => {
  const database = (more: object): DatabaseFacts => ({
    name: 'default',
    state: {
      server: '15',
      problems: [],
      encrypted: false,
      local: true,
      pooled: false,
      direct: false,
      deaf: null,
      skewMs: 0,
      skewErrorMs: 1,
      outboxes: [
        {
          broker: 'default',
          pending: 0,
          failed: 0,
          abandoned: 0,
          oldestPendingMs: null,
          owners: ['a'],
          lastError: null,
          ...more,
        },
      ],
    },
  });
  const codes = (more: object) => checkFlow([database(more)], [], 'shop').map(({ code }) => code);

  it('that waits is told apart by whether somebody owns it', () => {
    assert.deepEqual(codes({ pending: 5, oldestPendingMs: 60_000, owners: [] }), ['relay_stopped']);
    assert.deepEqual(codes({ pending: 5, oldestPendingMs: 60_000 }), ['rows_wait']);
    assert.deepEqual(codes({ pending: 5, oldestPendingMs: 100 }), []);
  });

  it('with rows that were refused names the last error', () => {
    const [abandoned, failed] = checkFlow([database({ abandoned: 1, failed: 2, lastError: 'OOM: full' })], [], 'shop');
    assert.match(abandoned?.evidence ?? '', /1 row abandoned; last: OOM: full/);
    assert.match(failed?.evidence ?? '', /2 rows failed/);
  });

  it('in a database with another clock is told of the clock', () => {
    const state = { ...(database({}).state as object), skewMs: 4_000 } as DatabaseFacts['state'];
    const [only] = checkDatabases([{ name: 'default', state }]);
    assert.match(only?.what ?? '', /has a clock that is 4\.0 s ahead of ours/);
  });
});

describe('the order of findings', () => {
  const finding = { severity: 'error', subject: 's', what: '', evidence: '', mend: '' } as const;

  it('is the worst first, and of those as bad the cause before its effects', () => {
    const all = inOrder([
      { ...finding, code: 'clock_skew', severity: 'warning' },
      { ...finding, code: 'relay_stopped' },
      { ...finding, code: 'broker_unreachable' },
      { ...finding, code: 'not_encrypted', severity: 'note' },
    ]);
    assert.deepEqual(
      all.map(({ code }) => code),
      ['broker_unreachable', 'relay_stopped', 'clock_skew', 'not_encrypted'],
    );
    assert.equal(isSick(all), true);
    assert.equal(isSick(all.slice(3)), false);
  });
});
