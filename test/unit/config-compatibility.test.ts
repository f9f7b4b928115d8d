import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveSubscription } from '../../src/config/resolve.ts';
import { configOf, load } from '../support/config-folder.ts';

// The blocks of the chapter "Async Processing and the Server" of Protean's tutorial, put together.
const tutorial = `
event_processing = "async"
command_processing = "async"
enable_outbox = true

[databases.default]
provider = "postgresql"
database_uri = "postgresql://localhost:5432/bookshelf"

[brokers.default]
provider = "redis"
URI = "redis://localhost:6379/0"

[event_store]
provider = "memory"

[server]
default_subscription_type = "stream"
default_subscription_profile = "production"

[outbox]
broker = "default"
messages_per_tick = 10
tick_interval = 1

[outbox.retry]
max_attempts = 3
base_delay_seconds = 60
`;

// Every section of Protean 0.17's configuration page, with its own values.
const everything = `
debug = true
testing = false
secret_key = "\${SECRET_KEY|s3cr3t-canary}"
env = "development"
identity_strategy = "uuid"
identity_type = "string"
event_processing = "sync"
command_processing = "sync"
message_processing = "sync"
command_default_timeout = 30
source_uri = "urn:example:bookshelf"
lenient_deserialization = true
snapshot_threshold = 20

[databases.default]
provider = "postgresql"
database_uri = "\${DATABASE_URL|postgresql+psycopg://postgres:postgres@localhost:15432/local}"
schema = "app"
pool_size = 10
max_overflow = 20
pool_recycle = 1800

[databases.memory]
provider = "memory"

[caches.default]
provider = "redis"
URI = "redis://127.0.0.1:6379/2"
TTL = 300
max_connections = 50
socket_timeout = 5
socket_connect_timeout = 5
retry_on_timeout = true

[brokers.default]
provider = "redis"
URI = "redis://127.0.0.1:6379/0"
IS_ASYNC = true
max_connections = 50
socket_timeout = 30
socket_connect_timeout = 5
retry_on_timeout = true

[brokers.global]
provider = "redis_pubsub"
url = "\${REDIS_EXTERNAL_URL|redis://127.0.0.1:6379/15}"
TTL = 30

[event_store]
provider = "message_db"
database_uri = "postgresql://message_store@localhost:5433/message_store"
max_connections = 20

[custom]
FOO = "bar"

[server]
default_subscription_type = "stream"
messages_per_tick = 100
tick_interval = 0
drain_timeout = 10

[server.stream_subscription]
blocking_timeout_ms = 100
max_retries = 3
retry_delay_seconds = 600
enable_dlq = true
circuit_breaker_threshold = 10
circuit_breaker_reset_seconds = 60
retention_maxlen = 1000

[server.event_store_subscription]
position_update_interval = 10
max_retries = 3
retry_delay_seconds = 1
enable_recovery = true
recovery_interval_seconds = 30
gap_timeout_seconds = 5

[server.broker_subscription]
max_retries = 3
retry_delay_seconds = 1
enable_dlq = true

[server.version_retry]
enabled = true
max_retries = 3
base_delay_seconds = 0.05
max_delay_seconds = 1.0

[server.transient_retry]
enabled = false
max_retries = 3
backoff = "exponential"
base_delay_seconds = 0.1
max_delay_seconds = 5.0
exceptions = ["builtins.ConnectionError", "protean.exceptions.SendError"]

[server.dlq]
enabled = true
retention_hours = 168
alert_threshold = 100
check_interval_seconds = 60
alert_callback = "myapp.alerts.notify_oncall"

[server.health]
enabled = true
host = "127.0.0.1"
port = 8080
port_auto_increment = true

[server.priority_lanes]
enabled = true
threshold = 0
backfill_suffix = "backfill"

[server.partitioning]
lease_ttl_ms = 15000
heartbeat_interval_seconds = 3.0
poll_interval_seconds = 0.25
reap_idle_ms = 3600000

[server.profiles.myfast]
inherits = "fast"
messages_per_tick = 25
origin_stream = "user_actions"

[server.subscriptions.OrderEventHandler]
profile = "myfast"
messages_per_tick = 50
dlq_retention_hours = 72
dlq_alert_threshold = 25

[server.subscriptions.InventoryProjector]
subscription_type = "event_store"
profile = "projection"

[outbox]
broker = "default"
external_brokers = ["global"]
messages_per_tick = 50
tick_interval = 0.01
max_tick_interval = 30

[outbox.retry]
max_attempts = 3
base_delay_seconds = 7200
backoff_multiplier = 2
jitter = true

[outbox.cleanup]
published_retention_hours = 168
abandoned_retention_hours = 720
batch_size = 5000

[telemetry]
enabled = true
service_name = "my-service"
exporter = "otlp"
endpoint = "http://localhost:4317"

[telemetry.resource_attributes]
"deployment.environment" = "production"

[idempotency]
redis_url = "redis://localhost:6379/5"
ttl = 86400
error_ttl = 60

[consume_idempotency.cleanup]
retention_hours = 168
batch_size = 5000

[logging]
level = "WARNING"
format = "auto"
log_dir = ""
log_file_prefix = "app"
max_bytes = 10485760
backup_count = 5
slow_handler_threshold_ms = 500
slow_query_threshold_ms = 100
slow_query_truncate_chars = 500
redact = ["password", "token"]

[logging.per_logger]
"protean.server.engine" = "WARNING"

[lint]
level = "warn"
rules = ["my_app.lint.check_names"]

[lint.suppressions]
UNHANDLED_EVENT = 3

[memory]
testing = true
event_processing = "sync"

[memory.databases.default]
provider = "memory"

[memory.event_store]
provider = "memory"

[memory.brokers.default]
provider = "inline"
`;

describe("the tutorial's domain.toml", () => {
  it('loads as it is, with nothing to warn of', async () => {
    const { config, warnings } = await load(tutorial);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.withoutEffect, []);
    assert.equal(config.outbox?.batchSize, 10);
    assert.equal(config.outbox?.pollEveryMs, 1000);
    assert.deepEqual(config.outbox?.retry.backoff, { baseMs: 60_000, factor: 2, maxMs: 3_600_000, jitter: 0.25 });
    const asked = { name: 'OrderHandler', kind: 'event_handler', profile: null, subscription: null } as const;
    assert.equal(resolveSubscription(config.server.subscriptions, asked).profile, 'production');
  });
});

describe("a domain.toml with all of Protean's keys", () => {
  it('loads, and says which of them have no effect', async () => {
    const { config, warnings } = await load(everything);
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.withoutEffect, [
      'debug',
      'secret_key',
      'env',
      'message_processing = "sync"',
      'command_default_timeout',
      'source_uri',
      'lenient_deserialization',
      '[databases.default] pool_recycle',
      '[caches]',
      '[brokers.default] retry_on_timeout',
      '[brokers.global] TTL',
      '[server.version_retry]',
      '[server.transient_retry]',
      '[server.dlq] alert_callback',
      '[server.health] port_auto_increment',
      '[server.subscriptions.OrderEventHandler] dlq_retention_hours',
      '[server.subscriptions.OrderEventHandler] dlq_alert_threshold',
      '[telemetry]',
      '[logging] log_file_prefix',
      '[logging.per_logger]',
      '[lint]',
    ]);
  });

  it('means what it says', async () => {
    const config = await configOf(everything);
    const database = config.databases.get('default');
    assert.ok(database?.provider === 'postgresql');
    assert.equal(database.uri, 'postgresql://postgres:postgres@localhost:15432/local', "without SQLAlchemy's driver");
    assert.equal(config.logging.level, 'warn');
    assert.equal(config.server.drainTimeoutMs, 10_000);
    assert.equal(config.outbox?.pollEveryMs, 10);
    assert.equal(config.outbox?.retry.backoff.maxMs, 7_200_000, 'a default gives way');
    assert.equal(config.outbox?.lease.ttlMs, 45_000, 'a default gives way');
    assert.deepEqual(config.server.lanes, { threshold: 0, suffix: 'backfill' });
    assert.deepEqual(config.telemetry.resourceAttributes, { 'deployment.environment': 'production' });
  });

  it('can lay memory over everything', async () => {
    const config = await configOf(everything, { env: 'memory' });
    assert.deepEqual(
      [config.databases.get('default')?.provider, config.brokers.get('default')?.provider],
      ['memory', 'inline'],
    );
    assert.deepEqual(config.eventStore, { provider: 'memory' });
  });
});

describe('the outbox', () => {
  const broker = '[brokers.default]\nprovider = "inline"\n';
  const enabled = async (toml: string) => (await configOf(toml)).outbox !== null;

  it('is there when subscriptions are streams, unless it is turned off', async () => {
    assert.equal(await enabled(broker), true);
    assert.equal(await enabled(`enable_outbox = false\n${broker}`), false);
    assert.equal(await enabled(`${broker}[server]\ndefault_subscription_type = "event_store"\n`), false);
    assert.equal(await enabled(`${broker}[server]\ndefault_subscription_profile = "projection"\n`), false);
  });
});

describe('[custom]', () => {
  it('is frozen to the bottom, and inherits what every object does', async () => {
    const { custom } = await configOf('[brokers.default]\nprovider = "inline"\n[custom]\na = { b = [1, { c = 2 }] }\n');
    assert.deepEqual(custom, { a: { b: [1, { c: 2 }] } });
    const inner = (custom['a'] as { readonly b: readonly object[] }).b;
    assert.ok([custom, custom['a'], inner, inner[1]].every(Object.isFrozen));
    assert.equal(Object.getPrototypeOf(custom), Object.prototype);
  });
});
