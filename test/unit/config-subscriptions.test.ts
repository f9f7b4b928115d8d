import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { builtInProfiles } from '../../src/config/profiles.ts';
import { resolveSubscription, unmatchedSubscriptions } from '../../src/config/resolve.ts';
import type { Asked } from '../../src/config/stack.ts';
import { ConfigError } from '../../src/runtime/errors.ts';
import { configOf, inline } from '../support/config-folder.ts';

const handler: Asked = { name: 'OrderHandler', kind: 'event_handler', profile: null, subscription: null };

const resolved = async (toml: string, asked: Partial<Asked> = {}) =>
  resolveSubscription((await configOf(inline + toml)).server.subscriptions, { ...handler, ...asked });

const faults = async (toml: string, asked: Partial<Asked>): Promise<string> => {
  const { server } = await configOf(inline + toml);
  try {
    resolveSubscription(server.subscriptions, { ...handler, ...asked });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
  }
  throw new Error('it resolves');
};

describe('the settings of a subscription', () => {
  // Each layer states what the ones above it will state again: the last one named wins.
  const layers = [
    {
      is: 'the default profile',
      toml: '[server]\ndefault_subscription_profile = "fast"\n',
      messages: 10,
      origin: 'profile fast',
    },
    { is: '[server]', toml: 'messages_per_tick = 21\n', messages: 21, origin: '[server]' },
    {
      is: 'the table of the type',
      toml: '[server.stream_subscription]\nmessages_per_tick = 22\n',
      messages: 22,
      origin: '[server.stream_subscription]',
    },
    {
      is: 'the profile of the handler in the file',
      toml: '[server.subscriptions.OrderHandler]\nprofile = "batch"\n',
      messages: 500,
      origin: 'profile batch',
    },
    {
      is: 'the other keys of the handler in the file',
      toml: 'messages_per_tick = 24\n',
      messages: 24,
      origin: '[server.subscriptions.OrderHandler]',
    },
  ];
  for (const [index, { is, messages, origin }] of layers.entries()) {
    it(`are those of ${is} before all below it`, async () => {
      const toml = layers.slice(0, index + 1).map((layer) => layer.toml);
      const config = await resolved(toml.join(''));
      assert.equal(config.batchSize, messages);
      assert.deepEqual(config.origins.get('messages_per_tick'), { value: messages, origin });
    });
  }

  it("are those of the handler's own profile before the file, and its own options before all", async () => {
    const toml = layers.map((layer) => layer.toml).join('');
    const profiled = await resolved(toml, { profile: 'debug' });
    assert.equal(profiled.batchSize, 1);
    assert.equal(profiled.profile, 'debug');
    const own = await resolved(toml, { profile: 'debug', subscription: { messages_per_tick: 3 } });
    assert.equal(own.batchSize, 3);
    assert.deepEqual(own.origins.get('messages_per_tick'), { value: 3, origin: 'handler' });
    assert.deepEqual(own.origins.get('max_retries'), { value: 1, origin: 'profile debug' });
  });

  it('are the defaults where nobody says anything', async () => {
    const { origins, ...config } = await resolved('');
    assert.deepEqual(config, {
      type: 'stream',
      sequentialBy: null,
      profile: null,
      batchSize: 100,
      tickMs: 0,
      blockMs: 5000,
      concurrency: 10,
      handlerTimeoutMs: 300_000,
      retry: {
        maxAttempts: 3,
        maxCrashes: 3,
        backoff: { baseMs: 1000, factor: 2, maxMs: 300_000, jitter: 0.25 },
        onExhausted: 'dead_letter',
        rules: new Map(),
      },
      breaker: { threshold: 10, resetAfterMs: 60_000 },
      minIdleMs: 15_000,
      heartbeatEveryMs: 5000,
      reclaimEveryMs: 5000,
      positionUpdateInterval: 10,
      recoverEveryMs: 30_000,
      gapTimeoutMs: 5000,
      originStream: null,
      retentionMaxlen: null,
    });
    assert.deepEqual([...new Set([...origins.values()].map(({ origin }) => origin))], ['default']);
  });

  it('take the type from the highest layer that names one, and its table with it', async () => {
    const toml = `
      [server]
      default_subscription_profile = "production"
      [server.stream_subscription]
      max_retries = 5
      [server.event_store_subscription]
      max_retries = 6
      [server.subscriptions.Projector]
      profile = "projection"
      [server.subscriptions.Mixed]
      profile = "projection"
      subscription_type = "stream"
    `;
    const settings = async (asked: Partial<Asked>) => {
      const { type, retry } = await resolved(toml, asked);
      return [type, retry.maxAttempts];
    };
    assert.deepEqual(await settings({}), ['stream', 5]);
    assert.deepEqual(await settings({ name: 'Projector' }), ['event_store', 3], 'its own profile is above the table');
    assert.deepEqual(await settings({ name: 'Mixed' }), ['stream', 3]);
    assert.deepEqual(await settings({ profile: 'projection' }), ['event_store', 3]);
    assert.deepEqual(await settings({ subscription: { subscription_type: 'event_store' } }), ['event_store', 6]);
  });

  it('take the type that [server] chooses before that of the default profile', async () => {
    const profile = '[server]\ndefault_subscription_profile = "projection"\n';
    assert.equal((await resolved(profile)).type, 'event_store');
    assert.equal((await resolved(`${profile}default_subscription_type = "stream"\n`)).type, 'stream');
  });

  it('of a subscriber come from [server.broker_subscription], and always from a stream', async () => {
    const toml = `
      [server]
      default_subscription_type = "event_store"
      [server.stream_subscription]
      max_retries = 5
      [server.broker_subscription]
      max_retries = 7
      enable_dlq = false
    `;
    const config = await resolved(toml, {
      kind: 'subscriber',
      profile: 'projection',
      subscription: { max_retries: 9 },
    });
    assert.equal(config.type, 'stream');
    assert.equal(config.retry.maxAttempts, 9);
    const plain = await resolved(toml, { kind: 'subscriber' });
    assert.deepEqual([plain.type, plain.retry.maxAttempts, plain.retry.onExhausted], ['stream', 7, 'discard']);
  });

  it('are found under another name of the handler', async () => {
    const toml = '[server.subscriptions."Commands:order"]\nmax_retries = 8\n';
    const config = await resolved(toml, { kind: 'command_handler', aliases: ['Commands:order'] });
    assert.equal(config.retry.maxAttempts, 8);
    const both = `${toml}[server.subscriptions.OrderHandler]\nmax_retries = 9\n`;
    assert.equal(
      (await resolved(both, { aliases: ['Commands:order'] })).retry.maxAttempts,
      9,
      'its own name comes first',
    );
  });

  it('let a default give way to what is stated', async () => {
    const config = await resolved('[server.stream_subscription]\nmin_idle_ms = 900\nretry_delay_seconds = 600\n');
    assert.equal(config.heartbeatEveryMs, 300);
    assert.equal(config.retry.backoff.maxMs, 600_000);
  });

  it('say what becomes of a message that is given up', async () => {
    const outcome = async (toml: string) => (await resolved(`[server.stream_subscription]\n${toml}`)).retry.onExhausted;
    assert.equal(await outcome('enable_dlq = true'), 'dead_letter');
    assert.equal(await outcome('enable_dlq = false'), 'discard');
    assert.equal(await outcome('on_poison = "halt"'), 'halt');
    const inOrder = (toml: string) =>
      resolved(`[server.subscriptions.OrderHandler]\nsequential_by = "customer"\n${toml}`);
    assert.equal((await inOrder('')).retry.onExhausted, 'halt', 'where nothing else is asked for');
    assert.equal((await inOrder('on_poison = "dead_letter"')).retry.onExhausted, 'dead_letter');
  });

  it('have no limit to the stream where it is 0', async () => {
    const toml = '[server]\ndefault_subscription_profile = "production"\n';
    assert.equal((await resolved(toml)).retentionMaxlen, 100_000);
    assert.equal((await resolved(`${toml}[server.stream_subscription]\nretention_maxlen = 0\n`)).retentionMaxlen, null);
  });
});

describe('a profile', () => {
  const table: readonly (readonly [string, readonly (string | number | boolean | undefined)[]])[] = [
    // type, per tick, tick s, block ms, max_retries, retry delay s, dlq, position_update_interval, retention_maxlen
    ['production', ['stream', 100, 0, 5000, 3, 1, true, 10, 100_000]],
    ['fast', ['stream', 10, 0, 100, 2, 0, true, 5, 100_000]],
    ['batch', ['stream', 500, 0, 10_000, 5, 2, true, 50, 500_000]],
    ['debug', ['stream', 1, 1, 1000, 1, 0, false, 1, 1000]],
    ['projection', ['event_store', 100, 0, undefined, 3, 1, false, 10, undefined]],
  ];
  for (const [name, values] of table) {
    it(`${name} has the settings of Protean's`, () => {
      const profile = builtInProfiles.get(name) ?? {};
      const fields = ['subscription_type', 'messages_per_tick', 'tick_interval', 'blocking_timeout_ms', 'max_retries'];
      const more = ['retry_delay_seconds', 'enable_dlq', 'position_update_interval', 'retention_maxlen'];
      assert.deepEqual(
        [...fields, ...more].map((field) => profile[field]),
        values,
      );
      assert.deepEqual([profile['circuit_breaker_threshold'], profile['circuit_breaker_reset_seconds']], [10, 60]);
    });
  }

  it('of your own has what it inherits, over any number of steps', async () => {
    const toml = `
      [server.profiles.mine]
      inherits = "yours"
      max_retries = 9
      [server.profiles.yours]
      inherits = "batch"
      messages_per_tick = 7
    `;
    const config = await resolved(toml, { profile: 'mine' });
    assert.deepEqual([config.retry.maxAttempts, config.batchSize, config.blockMs], [9, 7, 10_000]);
    assert.equal(config.origins.get('blocking_timeout_ms')?.origin, 'profile mine');
  });
});

describe("a handler's own options", () => {
  it('are refused, all at once and with its name, when they are none', async () => {
    const subscription = { messages_per_tck: 3, max_retries: 0, enable_dlq: 'yes' };
    assert.equal(
      await faults('', { profile: 'fats', subscription }),
      [
        'handler OrderHandler profile: there is no profile "fats" (did you mean "fast"?): there are production, fast, batch, debug, projection',
        'handler OrderHandler subscription.messages_per_tck: unknown key (did you mean "messages_per_tick"?)',
        'handler OrderHandler subscription.max_retries: expected 1 to 1000 attempts, got 0',
        'handler OrderHandler subscription.enable_dlq: expected true or false, got the string "yes"',
      ].join('\n'),
    );
  });

  it('are refused when they conflict with what the file says', async () => {
    const toml = '[server.stream_subscription]\nheartbeat_interval_ms = 4000\n';
    assert.equal(
      await faults(toml, { subscription: { min_idle_ms: 9000 } }),
      'handler OrderHandler heartbeat_interval_ms: 4000 (from [server.stream_subscription]) must be at most a third of min_idle_ms, which is 9000 (from handler)',
    );
  });

  it('may not hide a profile', async () => {
    assert.match(await faults('', { subscription: { profile: 'fast' } }), /state the profile beside `subscription`/);
  });
});

describe('a table for a handler that is not there', () => {
  it('is told with the nearest name', async () => {
    const toml =
      '[server.subscriptions.OrdrHandler]\n[server.subscriptions.OrderHandler]\n[server.subscriptions."Commands:order"]\n';
    const { server } = await configOf(inline + toml);
    assert.deepEqual(unmatchedSubscriptions(server.subscriptions, ['OrderHandler', 'Commands:order']), [
      '[server.subscriptions.OrdrHandler] there is no handler of this name (did you mean "OrderHandler"?)',
    ]);
  });
});

describe('the rules of [server.retry]', () => {
  it('reach the retries of a subscription, in milliseconds and with nothing that is not stated', async () => {
    const config = await configOf(`${inline}
[server.retry.RateLimitError]
max_retries = 20
retry_delay_seconds = 5
backoff_multiplier = 3
max_backoff_seconds = 600
[server.retry.ValidationError]
action = "dead_letter"
`);
    const { retryRules, subscriptions } = config.server;
    const { rules } = resolveSubscription(subscriptions, handler, retryRules).retry;
    const none = { maxAttempts: null, delayMs: null, factor: null, maxDelayMs: null };
    assert.deepEqual(Object.fromEntries(rules), {
      RateLimitError: { maxAttempts: 20, delayMs: 5_000, factor: 3, maxDelayMs: 600_000, action: 'retry' },
      ValidationError: { ...none, action: 'dead_letter' },
    });
  });
});
