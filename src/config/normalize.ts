import { basename, dirname, resolve } from 'node:path';
import type { Json } from '../message/message.ts';
import { camelDomain, normalizeDomain } from '../message/stream-name.ts';
import { defaultType } from './check-server.ts';
import type { Config, DomainConfig, HandlersConfig, LoggingConfig, TelemetryConfig } from './config.ts';
import { readLayers } from './layers.ts';
import { normalizeBrokers, normalizeCaches, normalizeDatabases, normalizeEventStore } from './normalize-connections.ts';
import { normalizeOutbox } from './normalize-outbox.ts';
import { normalizeServer } from './normalize-server.ts';
import { createReader } from './reader.ts';
import { createSureReader, type SureReader } from './sure-reader.ts';
import { isTable, type Table, type TomlValue } from './tree.ts';
import { keysWithoutEffect } from './without-effect.ts';

/** A validated tree as the daemon understands it: defaults applied, times in ms, paths absolute. */
export function normalize(tree: Table, file: string, env: string | null): Config {
  const reader = createReader(tree);
  const sure = createSureReader(reader);
  const folder = dirname(file);
  const absolute = (path: string) => resolve(folder, path);
  const layers = readLayers(reader);
  const domain = normalizeDomainName(reader.text(['name']) ?? basename(folder));
  const server = normalizeServer(sure, layers);
  const enableOutbox = reader.flag(['enable_outbox']) ?? defaultType(layers) === 'stream';
  return {
    file,
    env,
    domain,
    eventProcessing: processing(sure.text('event_processing')),
    commandProcessing: processing(sure.text('command_processing')),
    messageProcessing: processing(sure.text('message_processing')),
    handlers: normalizeHandlers(sure, absolute),
    databases: normalizeDatabases(sure),
    brokers: normalizeBrokers(sure, absolute),
    eventStore: normalizeEventStore(sure),
    outbox: enableOutbox ? normalizeOutbox(sure, server.lanes) : null,
    server,
    logging: normalizeLogging(sure),
    telemetry: normalizeTelemetry(sure, domain),
    idempotency: {
      redisUrl: reader.text(['idempotency', 'redis_url']),
      ttlMs: sure.millis('idempotency', 'ttl'),
      errorTtlMs: sure.millis('idempotency', 'error_ttl'),
    },
    inbox: {
      retentionMs: sure.millis('consume_idempotency', 'cleanup', 'retention_hours'),
      batchSize: sure.number('consume_idempotency', 'cleanup', 'batch_size'),
    },
    caches: normalizeCaches(sure),
    schemas: {
      path: mapped(reader.text(['schemas', 'path']), absolute),
      unknownFields: unknownFields(sure.text('schemas', 'unknown_fields')),
    },
    snapshotThreshold: sure.number('snapshot_threshold'),
    custom: freeTable(reader.stated(['custom'])),
    withoutEffect: keysWithoutEffect(tree),
  };
}

const processing = (text: string): 'async' | 'sync' => (text === 'sync' ? 'sync' : 'async');
const unknownFields = (text: string): 'keep' | 'strip' | 'refuse' =>
  text === 'strip' || text === 'refuse' ? text : 'keep';
const mapped = <Result>(value: string | null, change: (value: string) => Result): Result | null =>
  value === null ? null : change(value);

/** A free table as handlers may have it: plain objects, since they are theirs, frozen to the bottom. */
function freeTable(value: TomlValue | undefined): { readonly [key: string]: Json } {
  return isTable(value) ? (freeze(value) as { readonly [key: string]: Json }) : Object.freeze({});
}

function freeze(value: TomlValue): Json {
  if (Array.isArray(value)) return Object.freeze((value as readonly TomlValue[]).map(freeze));
  if (!isTable(value)) return value as string | number | boolean;
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([key, each]) => [key, freeze(each)])));
}

function normalizeDomainName(name: string): DomainConfig {
  const normalized = normalizeDomain(name);
  return { name, normalized, camel: camelDomain(normalized) };
}

function normalizeHandlers({ stated, millis }: SureReader, absolute: (path: string) => string): HandlersConfig {
  const path = stated(['handlers', 'path']);
  const paths = path === undefined ? [] : Array.isArray(path) ? path : [path];
  return {
    paths: paths.map((each) => absolute(String(each))),
    importTimeoutMs: millis('handlers', 'import_timeout_seconds'),
  };
}

/** Python's names of levels, and none at all for the default. */
const levels: ReadonlyMap<string, LoggingConfig['level']> = new Map([
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['critical', 'fatal'],
  ['fatal', 'fatal'],
  ['silent', 'silent'],
]);

function normalizeLogging({ text, texts, number }: SureReader): LoggingConfig {
  const format = text('logging', 'format');
  return {
    level: levels.get(text('logging', 'level').toLowerCase()) ?? 'info',
    format: format === 'json' || format === 'console' ? format : 'auto',
    redact: texts('logging', 'redact'),
    slowHandlerThresholdMs: number('logging', 'slow_handler_threshold_ms'),
  };
}

function normalizeTelemetry({ flag, text, stated, maybe }: SureReader, { normalized }: DomainConfig): TelemetryConfig {
  return {
    enabled: flag('telemetry', 'enabled'),
    serviceName: maybe.text(['telemetry', 'service_name']) ?? normalized,
    exporter: text('telemetry', 'exporter'),
    endpoint: maybe.text(['telemetry', 'endpoint']),
    resourceAttributes: freeTable(stated(['telemetry', 'resource_attributes'])),
  };
}
