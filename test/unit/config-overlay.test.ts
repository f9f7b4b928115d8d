import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configOf, inline, load, sentencesOf } from '../support/config-folder.ts';

const file = `
[brokers.default]
provider = "redis"
URI = "redis://here"
max_connections = 7

[outbox]
external_brokers = ["a", "b"]

[brokers.a]
provider = "inline"
[brokers.b]
provider = "inline"

[custom]
list = [1, 2, 3]
table = { x = 1, y = 2 }

[prod]
event_processing = "sync"

[prod.brokers.default]
url = "redis://\${PROD_HOST}"

[prod.outbox]
external_brokers = ["a"]

[prod.custom]
list = [9]
table = { y = 3 }

[memory.brokers.default]
provider = "inline"
`;

describe('an overlay', () => {
  it('leaves the file alone when it is not asked for, and needs none of its variables', async () => {
    const { config, warnings } = await load(file);
    assert.deepEqual(config.outbox?.externalBrokers, ['a', 'b']);
    assert.equal(config.eventProcessing, 'async');
    assert.deepEqual(warnings, []);
  });

  it('merges tables, and replaces scalars and arrays', async () => {
    const config = await configOf(file, { env: 'prod', environment: { PROD_HOST: 'there' } });
    const broker = config.brokers.get('default');
    assert.equal(config.env, 'prod');
    assert.equal(config.eventProcessing, 'sync');
    assert.ok(broker?.provider === 'redis');
    assert.equal(broker.uri, 'redis://there', 'one spelling of the key lies over the other');
    assert.equal(broker.maxConnections, 7);
    assert.deepEqual(config.outbox?.externalBrokers, ['a']);
    assert.deepEqual(config.custom, { list: [9], table: { x: 1, y: 3 } });
  });

  it('may change the provider and leave the rest of the table behind', async () => {
    const config = await configOf(file, { env: 'memory' });
    assert.deepEqual(config.brokers.get('default'), { provider: 'inline', name: 'default' });
  });

  it('is chosen by --env, else by DOMAIND_ENV, else by PROTEAN_ENV', async () => {
    const environment = { PROTEAN_ENV: 'prod', DOMAIND_ENV: 'memory', PROD_HOST: 'h' };
    assert.equal((await configOf(file, { environment })).env, 'memory');
    assert.equal((await configOf(file, { environment, env: 'prod' })).env, 'prod');
    assert.equal((await configOf(file, { environment: { ...environment, DOMAIND_ENV: '' } })).env, 'prod');
  });

  it('brings a warning, and no more, when it is asked for and not there', async () => {
    const { config, warnings } = await load(file, { env: 'staging' });
    assert.equal(config.env, 'staging');
    assert.deepEqual(warnings, [
      'domain.toml has no overlay for the environment "staging", only [prod], [memory]: it is used as it is',
    ]);
    const { warnings: taken } = await load(inline, { env: 'server' });
    assert.deepEqual(taken, [
      'domain.toml has no overlay for the environment "server": [server] is a part of the configuration itself, no overlay: it is used as it is',
    ]);
  });

  it('tells its faults with its own place when it is in force', async () => {
    const text = `${inline}[prod.outbox]\ntick_intervall = 1\nmessages_per_tick = 0\n[prod.helth]\nport = 1\n[prod]\nnmae = "x"\n`;
    assert.deepEqual(await sentencesOf(text, { env: 'prod' }), [
      'domain.toml:4:1 [prod.outbox] tick_intervall: unknown key (did you mean "tick_interval"?)',
      'domain.toml:5:1 [prod.outbox] messages_per_tick: expected 1 to 10000 rows, got 0',
      'domain.toml:6:7 [prod.helth] unknown table',
      'domain.toml:9:1 [prod] nmae: unknown key (did you mean "name"?)',
    ]);
  });

  it('has its faults told as warnings when it is not in force, as far as they do not hang on variables', async () => {
    const text = `${inline}[prod.outbox]\ntick_intervall = 1\nmessages_per_tick = "\${N}"\n`;
    const { warnings } = await load(text);
    assert.deepEqual(warnings, [
      'domain.toml:4:1 [prod.outbox] tick_intervall: unknown key (did you mean "tick_interval"?) (in the overlay "prod", which is not in force)',
    ]);
  });
});
