import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { isObject } from '../message/codec.ts';
import type { Json } from '../message/message.ts';
import { isStreamName } from '../message/stream-name.ts';
import { parseTraceparent } from '../message/traceparent.ts';
import { isMessageName } from '../message/type-name.ts';
import { openProviders } from '../providers.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { MisconfiguredError, UsageError } from '../runtime/errors.ts';
import { loadCatalog } from '../schema/load-catalog.ts';
import type { Accept, Accepted, IngressOptions } from '../telemetry/accept.ts';
import { observedLoops } from '../telemetry/observed-loops.ts';
import { createAccept } from './accept.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';

const common = { config: 'string', env: 'string', data: 'string', json: 'boolean', debug: 'boolean' } as const;
const ofMessages = {
  ...common,
  category: 'string',
  id: 'string',
  version: 'string',
  priority: 'string',
  'partition-key': 'string',
  'correlation-id': 'string',
  'deliver-at': 'string',
  traceparent: 'string',
} as const;

/** `domaind process`: a command into the outbox. */
export const processCommand = sender(
  'process',
  'send a command: into the outbox of the default database',
  'domaind process TYPE --category CATEGORY [--id ID] --data JSON [--idempotency-key KEY] [--deadline TIME]',
  `domaind process PlaceOrder --category order --data '{"customer":"Ada","items":["Dune"]}'`,
  { ...ofMessages, 'idempotency-key': 'string', deadline: 'string' },
  (accept, type, given) =>
    accept.command(messageName(type), categoryIn(given), objectIn(given), {
      ...optionsIn(given),
      id: given.text('id'),
      idempotencyKey: given.text('idempotency-key'),
      deadline: given.text('deadline'),
    }),
);

/** `domaind raise`: an event into the outbox. */
export const raiseCommand = sender(
  'raise',
  'raise an event: into the outbox of the default database',
  'domaind raise TYPE --category CATEGORY --id ID --data JSON [--published]',
  `domaind raise OrderPlaced --category order --id ord-1 --data '{"order_id":"ord-1"}'`,
  { ...ofMessages, published: 'boolean' },
  (accept, type, given) =>
    accept.event(messageName(type), categoryIn(given), needed(given, 'id'), objectIn(given), {
      ...optionsIn(given),
      published: given.flag('published') || null,
    }),
);

/** `domaind publish`: an external message onto its stream. */
export const publishCommand = sender(
  'publish',
  'publish an external message: straight onto a stream of the default broker',
  'domaind publish STREAM --data JSON',
  `domaind publish external-orders --data '{"customer":"Ada","items":["Dune"]}'`,
  common,
  (accept, stream, given) => {
    if (!isStreamName(stream))
      throw new UsageError(`"${stream}" cannot name a stream: printable, no spaces, no braces`);
    return accept.publish(stream, jsonIn(given));
  },
);

function sender(
  name: string,
  summary: string,
  usage: string,
  example: string,
  types: Readonly<Record<string, 'string' | 'boolean'>>,
  send: (accept: Accept, subject: string, given: Arguments) => Promise<Accepted>,
): Command {
  return {
    name,
    summary,
    help: `usage: ${usage}\n\n  --config FILE, --env NAME as everywhere; --json for machines\n\nexample: ${example}`,
    async run(argv, io) {
      const given = parseArguments(argv, types, usage);
      const [subject, ...more] = given.positionals;
      if (subject === undefined || more.length > 0)
        throw new UsageError(`one ${name === 'publish' ? 'STREAM' : 'TYPE'} is needed\nusage: ${usage}`);
      const { config } = await loadConfig({
        path: given.text('config'),
        env: given.text('env'),
        cwd: io.cwd,
        environment: io.environment,
      });
      refuseMemory(config, name);
      const catalog = await loadCatalog(config.schemas);
      const emit = () => undefined;
      const loopOptions = observedLoops(systemClock, systemRandom, emit);
      const deps = { clock: systemClock, random: systemRandom, emit, loopOptions };
      const providers = openProviders(config, deps);
      try {
        const { messageId, stream } = await send(createAccept(config, providers, catalog), subject, given);
        io.out(given.flag('json') ? JSON.stringify({ message_id: messageId, stream }) : messageId);
        return 0;
      } finally {
        await providers.close();
      }
    },
  };
}

/** What is in memory is in the daemon's memory: another process cannot write there. */
function refuseMemory({ databases, brokers }: Config, name: string): void {
  const provider = name === 'publish' ? brokers.get('default')?.provider : databases.get('default')?.provider;
  if (provider !== 'memory' && provider !== 'inline') return;
  throw new MisconfiguredError(
    'in_memory',
    `provider "${provider}" lives inside the daemon: send it the message by HTTP, at [server.ingress]`,
  );
}

function messageName(type: string): string {
  if (!isMessageName(type))
    throw new UsageError(`"${type}" cannot name a message: letters, digits and _, like OrderPlaced`);
  return type;
}

function needed(given: Arguments, option: string): string {
  const value = given.text(option);
  if (value === null || value === '') throw new UsageError(`--${option} is needed`);
  return value;
}

function categoryIn(given: Arguments): string {
  const category = needed(given, 'category');
  if (!isStreamName(category)) throw new UsageError(`"${category}" cannot name a category`);
  return category;
}

function jsonIn(given: Arguments): Json {
  try {
    return JSON.parse(needed(given, 'data')) as Json;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError('--data must be JSON');
  }
}

function objectIn(given: Arguments) {
  const data = jsonIn(given);
  if (!isObject(data)) throw new UsageError('--data must be a JSON object');
  return data;
}

function traceparentIn(given: Arguments) {
  const text = given.text('traceparent');
  const trace = text === null ? null : parseTraceparent(text);
  if (text === null || trace !== null) return trace;
  throw new UsageError('--traceparent must be as W3C writes it: 00-<32 hex digits>-<16 hex digits>-01');
}

function optionsIn(given: Arguments): IngressOptions {
  const priority = given.text('priority');
  if (priority !== null && !/^-?\d{1,9}$/.test(priority)) throw new UsageError('--priority must be a whole number');
  return {
    version: given.number('version', 1),
    priority: priority === null ? null : Number(priority),
    partitionKey: given.text('partition-key'),
    correlationId: given.text('correlation-id'),
    traceparent: traceparentIn(given),
    deliverAt: given.text('deliver-at'),
  };
}
