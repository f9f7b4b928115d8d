import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from 'domaind/client';

/**
 * Places orders at the bookshelf, as an application would: every second one with the client, the others with the SQL
 * function that every language can call.
 *
 *   --count N   orders to place; 0 for no end; default 10
 *   --rate N    orders a second; default 2
 */
const { values } = parseArgs({
  options: { count: { type: 'string', default: '10' }, rate: { type: 'string', default: '2' } },
});
const [count, rate] = [Number(values.count), Number(values.rate)];
if (!Number.isInteger(count) || count < 0 || !(rate > 0)) {
  console.error('usage: producer.ts [--count N] [--rate N], both numbers; a count of 0 goes on for ever');
  process.exit(2);
}

const customers = ['Ada', 'Blaise', 'Grace', 'Kurt'];
const books = ['Dune', 'Emma', 'Middlemarch', 'Solaris', 'Ulysses'];
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort());

const client = await connect({ env: process.env['DOMAIND_ENV'] ?? 'production' });
let placed = 0;
while (!stop.signal.aborted && (count === 0 || placed < count)) {
  await place(placed);
  placed += 1;
  await rest(1_000 / rate);
}
await client.close();
console.log(`placed ${placed} orders`);

/** Tries until it has succeeded: the key lets an order whose commit is in doubt be sent again without being placed twice. */
async function place(n: number): Promise<void> {
  const orderId = randomUUID();
  const order = { order_id: orderId, customer: pick(customers, n), items: [pick(books, n), pick(books, 3 * n + 1)] };
  while (!stop.signal.aborted) {
    try {
      return n % 2 === 0 ? await byClient(orderId, order) : await bySql(orderId, order);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'UnavailableError') throw error;
      console.error(`${error.message}: trying again`);
      await rest(1_000);
    }
  }
}

interface Order {
  readonly order_id: string;
  readonly customer: string;
  readonly items: readonly string[];
}

async function byClient(orderId: string, order: Order): Promise<void> {
  await client.process('PlaceOrder', { ...order }, { category: 'order', id: orderId, idempotencyKey: orderId });
}

async function bySql(orderId: string, order: Order): Promise<void> {
  const [data, options] = [JSON.stringify(order), JSON.stringify({ id: orderId, idempotency_key: orderId })];
  await client.transaction(
    (tx) => tx.sql`select outbox_process_command('PlaceOrder', 'order', ${data}::text::json, ${options}::text::jsonb)`,
  );
}

function pick(list: readonly string[], n: number): string {
  return list[n % list.length] ?? '';
}

/** Cut short when told to stop. */
async function rest(ms: number): Promise<void> {
  await delay(ms, undefined, { signal: stop.signal }).catch(() => undefined);
}
