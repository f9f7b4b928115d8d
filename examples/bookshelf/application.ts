import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { InProcessClient } from 'domaind/client';
import { connect } from 'domaind/client';
import { cancel, save } from './domain/order.js';
import * as books from './handlers/book.js';
import * as orders from './handlers/order.js';
import * as notifications from './handlers/order-notifications.js';
import * as summary from './handlers/order-summary.js';

/**
 * The bookshop's HTTP API. With `command_processing` and `event_processing` = "sync" it carries out its commands itself and
 * needs no daemon; else it writes them to the outbox, and the daemon does.
 *
 *   POST /books                      {"book_id", "title", "author", "price"}
 *   POST /orders                     {"customer", "items"}; an Idempotency-Key lets a form be sent twice
 *   POST /orders/<id>/cancellation
 *   GET  /catalogue/<book> · /orders/<id> · /customers/<name>
 */
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Asked {
  readonly body: { readonly [key: string]: unknown };
  readonly key: string | undefined;
}

type Route = (client: InProcessClient, id: string, asked: Asked) => Promise<Answer>;

const read =
  (collection: string): Route =>
  (client, id) =>
    client.transaction(async (tx) => {
      const body = await tx.store(collection).get(id);
      return body === null ? { status: 404, body: { error: 'not_found' } } : { status: 200, body };
    });

/** What the handler returned where it has run already, else that it will. */
const answered = (value: unknown, id: { readonly [name: string]: string }): Answer =>
  value === undefined ? { status: 202, body: id } : { status: 201, body: value };

const routes: readonly (readonly [RegExp, Route])[] = [
  [
    /^POST \/books()$/,
    async (client, _id, { body }) => {
      const book_id = String(body['book_id'] ?? randomUUID());
      const value = await client.process('AddBook', { ...body, book_id }, { category: 'book', id: book_id });
      return answered(value, { book_id });
    },
  ],
  [
    /^POST \/orders()$/,
    async (client, _id, { body, key }) => {
      const order_id = key ?? randomUUID();
      const options = { category: 'order', id: order_id, idempotencyKey: order_id };
      return answered(await client.process('PlaceOrder', { ...body, order_id }, options), { order_id });
    },
  ],
  [
    // Without a command: the application's own transaction keeps the aggregate with its event.
    /^POST \/orders\/([^/]+)\/cancellation$/,
    async (client, order_id) => {
      await client.transaction(async (tx) => {
        const order = await tx.store('orders').get(order_id);
        await save(order_id, cancel(order_id, order), tx);
      });
      return { status: 200, body: { order_id } };
    },
  ],
  [/^GET \/orders\/([^/]+)$/, read('orders')],
  [/^GET \/customers\/([^/]+)$/, read('order_summaries')],
  [/^GET \/catalogue\/([^/]+)$/, read('catalogue')],
];

async function answer(client: InProcessClient, request: IncomingMessage): Promise<Answer> {
  const { method, url = '/', headers } = request;
  for (const [pattern, route] of routes) {
    const [matched, id = ''] = pattern.exec(`${method} ${url}`) ?? [];
    if (matched === undefined) continue;
    try {
      const body = method === 'POST' ? await bodyOf(request) : {};
      return await route(client, decodeURIComponent(id), { body, key: headers['idempotency-key']?.toString() });
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof URIError)
        return { status: 400, body: { error: 'bad_request' } };
      if (!(error instanceof Error) || error.name !== 'NonRetryableError') throw error;
      return { status: 409, body: { error: error.message } };
    }
  }
  return { status: 404, body: { error: 'not_found' } };
}

async function bodyOf(request: IncomingMessage): Promise<Asked['body']> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text === '' ? {} : JSON.parse(text);
}

const handlers = { ...books, ...orders, ...notifications, ...summary };
const client = await connect({ handlers, env: process.env['DOMAIND_ENV'] ?? 'sync' });
const server = createServer(async (request, response) => {
  const { status, body } = await answer(client, request).catch((error: unknown) => {
    console.error(error);
    return { status: 503, body: { error: 'unavailable' } };
  });
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
});
server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  const address = server.address();
  console.log(`the bookshop is open at http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(() => void client.close());
    server.closeAllConnections();
  });
}
