/** A piece of a source file, and what is planted in its place. */
export interface Edit {
  /** From the top of the project. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly from: string;
  readonly to: string;
}

/** A bug that somebody might write, and the quickest check that must catch it. */
export interface Mutant {
  readonly name: string;
  /** What it would do to messages. */
  readonly harm: string;
  readonly edits: readonly Edit[];
  readonly check: {
    readonly file: string;
    /** A part of the names of the tests that are run. */
    readonly tests: string;
  };
}

const redisBroker = 'test/conformance/redis-broker.test.ts';
const outbox = 'test/conformance/postgresql-outbox.test.ts';
const subscription = 'test/unit/subscription.test.ts';
const pending = 'src/broker/redis-pending-scripts.ts';

/** The planted bugs. Each one breaks a promise that the documents make. */
export const mutants: readonly Mutant[] = [
  {
    name: 'mark before publish',
    harm: 'a crash or an outage in between loses the batch',
    edits: [
      {
        file: 'src/outbox/relay.ts',
        from: '      const results = await broker.publish(entries, publishWait);',
        to: `      await outbox.published(sent.map(({ id }) => id));
      const results = await broker.publish(entries, publishWait);`,
      },
    ],
    check: { file: 'test/unit/relay.test.ts', tests: 'waits out a broker that is away' },
  },
  {
    name: 'acknowledge before handling',
    harm: 'a crash in the handler loses the message',
    edits: [
      {
        file: 'src/subscription/create-handling.ts',
        from: '    const startedAt = begin([task]);',
        to: `    settler.add({ kind: 'ack', delivery: held.delivery });
    const startedAt = begin([task]);`,
      },
    ],
    check: { file: subscription, tests: 'tries again after a growing wait' },
  },
  {
    name: 'no reclaim',
    harm: 'what a dead consumer had in hand stays there for ever',
    edits: [
      {
        file: 'src/subscription/tending.ts',
        from: '    const { deliveries, lost } = await consumer.reclaim(count, minIdleMs);',
        to: '    const { deliveries, lost } = { deliveries: [] as readonly Delivery[], lost: [] as readonly string[] };',
      },
    ],
    check: { file: subscription, tests: 'takes over what a dead consumer left behind' },
  },
  {
    name: 'unfenced mark',
    harm: 'a relay that was paused writes over what its successor has written',
    edits: [
      {
        file: 'src/outbox/postgresql-shard.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a piece of the source.
        from: '(${fence === null} or exists (select from held))',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the same.
        to: '(${fence === null} or true or exists (select from held))',
      },
    ],
    check: { file: outbox, tests: 'is not written down by one who has lost the lease' },
  },
  {
    name: 'dead letter by MULTI',
    harm: 'a dead letter that cannot be written is acknowledged all the same, and lost',
    edits: [
      {
        file: pending,
        from: "redis.call('XADD', KEYS[3], '*', 'data', ARGV[4])",
        to: "redis.pcall('XADD', KEYS[3], '*', 'data', ARGV[4])",
      },
    ],
    check: {
      file: 'test/integration/redis-broker-refusal.test.ts',
      tests: 'keeps a dead letter pending while its stream cannot be written',
    },
  },
  {
    name: 'stolen heartbeat',
    harm: 'a consumer that was paused takes back what another one is at work on',
    edits: [{ file: pending, from: '  if owner(ARGV[index]) == ARGV[2] then', to: '  if owner(ARGV[index]) then' }],
    check: { file: redisBroker, tests: 'says by heartbeat, settlement and retake' },
  },
  {
    name: 'group at $',
    harm: 'what was published before the group was made is delivered to nobody',
    edits: [
      {
        file: 'src/broker/redis-scripts.ts',
        from: "redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')",
        to: "redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$', 'MKSTREAM')",
      },
    ],
    check: { file: redisBroker, tests: 'gives every group every entry' },
  },
  {
    name: 'id cursor',
    harm: 'rows that commit after those with higher ids are never published',
    edits: [
      {
        file: 'src/outbox/postgresql-shard.ts',
        from: '  let prioritized = false;\n',
        to: '  let prioritized = false;\n  let passed = 0n;\n',
      },
      {
        file: 'src/outbox/postgresql-shard.ts',
        from: '      if (!noted(oldest)) return oldest;\n',
        to: `      if (!noted(oldest)) {
        const later = oldest.filter(({ id }) => id === null || BigInt(id) > passed);
        for (const { id } of later) if (id !== null) passed = BigInt(id);
        return later;
      }
`,
      },
    ],
    check: { file: 'test/integration/outbox-order.test.ts', tests: 'a late commit with an early id is not skipped' },
  },
  {
    name: 'outage burns attempts',
    harm: 'an outage of some minutes makes dead letters of good messages',
    edits: [
      { file: 'src/subscription/disposition.ts', from: "        kind: 'postpone',", to: "        kind: 'retry'," },
    ],
    check: { file: subscription, tests: 'counts no attempt while the database is away' },
  },
  {
    name: 'silent resend',
    harm: 'entries whose confirmation was lost are appended a second time, and nobody knows',
    edits: [
      {
        file: 'src/connection/redis.ts',
        from: '    maxRetriesPerRequest: 0,\n',
        to: '    maxRetriesPerRequest: 20,\n',
      },
      {
        file: 'src/connection/redis.ts',
        from: '    autoResendUnfulfilledCommands: false,',
        to: '    autoResendUnfulfilledCommands: true,',
      },
    ],
    check: { file: 'test/integration/redis-connection.test.ts', tests: 'sends nothing twice when its answer was lost' },
  },
  {
    name: 'trim of pending',
    harm: 'entries that a consumer has in hand are removed from their stream',
    edits: [
      {
        file: 'src/broker/redis-trim.ts',
        from: "  if of.pending > 0 then id = redis.call('XPENDING', KEYS[1], of.name)[2] end\n",
        to: '',
      },
    ],
    check: { file: redisBroker, tests: 'trims what every group has finished, and nothing else' },
  },
  {
    name: 'lease trusted too long',
    harm: 'two relays publish one shard at once, and streams lose their order',
    edits: [
      {
        file: 'src/runtime/lease.ts',
        from: '  const trust: Trust = { until: grantedAt + ttlMs - marginMs, ended: new AbortController() };',
        to: '  const trust: Trust = { until: grantedAt + ttlMs + marginMs, ended: new AbortController() };',
      },
    ],
    check: { file: 'test/unit/lease.test.ts', tests: 'is trusted no longer' },
  },
  {
    name: 'renewal counted from its answer',
    harm: 'an answer that was long on its way makes a lease look younger than it is',
    edits: [
      {
        file: 'src/runtime/lease.ts',
        from: '    if (renewed === true) trust.until = startedAt + ttlMs - marginMs;',
        to: '    if (renewed === true) trust.until = clock.monotonic() + ttlMs - marginMs;',
      },
    ],
    check: { file: 'test/unit/lease.test.ts', tests: 'counts from the moment a renewal was asked for' },
  },
  {
    name: 'pause not noticed',
    harm: 'a relay that was paused beyond its lease publishes what its successor has published',
    edits: [
      {
        file: 'src/runtime/lease.ts',
        from: '  const trusted = () => !signal.aborted && deps.clock.monotonic() < trust.until;',
        to: '  const trusted = () => !signal.aborted;',
      },
    ],
    check: { file: 'test/unit/lease.test.ts', tests: 'does not trust it before its timers have fired' },
  },
  {
    name: 'forgotten attempts',
    harm: 'a message that always fails is tried for ever where its consumers change',
    edits: [
      {
        file: pending,
        from: "    local kept = redis.pcall('HSET', KEYS[2], id, ARGV[index + 1])",
        to: '    local kept = 1',
      },
    ],
    check: { file: redisBroker, tests: 'keeps attempts and history for whoever takes the entry over' },
  },
  {
    name: 'dead letter by anybody',
    harm: 'a message that another consumer handles is a dead letter as well',
    edits: [{ file: pending, from: 'if owned_by ~= ARGV[2] then return -1 end\n', to: '' }],
    check: { file: redisBroker, tests: 'moves no dead letter that another consumer owns by now' },
  },
  {
    name: 'crash not counted',
    harm: 'a message that kills the process kills it for ever',
    edits: [{ file: 'src/subscription/tending.ts', from: '    await consumer.recordStart(delivery);\n', to: '' }],
    check: { file: subscription, tests: 'gives up a message after three crashes' },
  },
  {
    name: 'no inbox',
    harm: 'every duplicate has its effects a second time',
    edits: [
      {
        file: 'src/handler/postgresql-unit-of-work.ts',
        from: 'database.transaction(keys.length === 0 || receipts !== null ? undefined : writeInbox)',
        to: 'database.transaction(keys.length === 0 || receipts !== null || writeInbox !== null ? undefined : writeInbox)',
      },
    ],
    check: { file: 'test/integration/unit-of-work.test.ts', tests: 'handled before' },
  },
  {
    name: 'gap passed over',
    harm: 'events that commit late are never handled',
    edits: [
      { file: 'src/event-store/gap-reader.ts', from: '    if (!isOver(watch)) {', to: '    if (watch === null) {' },
    ],
    check: { file: 'test/unit/gap-reader.test.ts', tests: 'waits for a message that commits out of order' },
  },
  {
    name: 'unfenced position',
    harm: 'an owner that was paused moves the position of its successor',
    edits: [
      {
        file: 'src/event-store/postgresql-positions.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a piece of the source.
        from: "'{}'),\n            updated_at = clock_timestamp()\n          where subscription = ${subscription} and token = ${String(token)}::bigint`,",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the same.
        to: "'{}'),\n            updated_at = clock_timestamp()\n          where subscription = ${subscription}`,",
      },
    ],
    check: {
      file: 'test/conformance/postgresql-positions.test.ts',
      tests: 'belong to the one with the largest token',
    },
  },
  {
    name: 'unfenced partition',
    harm: 'an owner of a key that was paused settles what its successor has in hand',
    edits: [
      {
        file: 'src/broker/redis-partition-scripts.ts',
        from: "  if redis.call('GET', KEYS[5 * index + 1]) == token then",
        to: '  if token then',
      },
      {
        file: 'src/broker/redis-partition-scripts.ts',
        from: 'local ours = not pending.err and pending[1] and pending[1][2] == token',
        to: 'local ours = not pending.err and pending[1]',
      },
    ],
    check: { file: 'test/conformance/partitions.test.ts', tests: 'refuses all of an owner whose lease has gone' },
  },
  {
    name: 'overtaking',
    harm: 'an entry goes before the refused one of its aggregate',
    edits: [
      {
        file: 'src/broker/redis-publish.ts',
        from: '        if (item.entry.key !== null) stopped.add(item.entry.key);\n',
        to: '',
      },
    ],
    check: {
      file: 'test/integration/redis-broker-refusal.test.ts',
      tests: 'holds it also in the later chunks of a large batch',
    },
  },
  {
    name: 'outage is an empty list',
    harm: 'a daemon without a broker looks idle and well',
    edits: [{ file: 'src/broker/redis-read.ts', from: '      else throw error;\n', to: '' }],
    check: {
      file: 'test/integration/redis-broker-outage.test.ts',
      tests: 'says that it is unavailable while there is no server',
    },
  },
  {
    name: 'lost answer forgotten',
    harm: 'what an answer that was lost had brought is seen by nobody until the daemon restarts',
    edits: [
      {
        file: 'src/broker/redis-read.ts',
        from: '      if (deliveries === null) doubtUntil = clock.monotonic() + blockMs + lingerMs;\n',
        to: '',
      },
    ],
    check: {
      file: 'test/integration/redis-broker-outage.test.ts',
      tests: 'gives up a server that hangs, and brings what that server then gave',
    },
  },
  {
    name: 'lease of two owners',
    harm: 'every replica takes what another one owns',
    edits: [
      {
        file: 'src/outbox/postgresql-lease.ts',
        from: '          where held.owner = excluded.owner or held.expires_at <= clock_timestamp()\n',
        to: '',
      },
    ],
    check: { file: outbox, tests: 'have one owner at a time' },
  },
];
