import { process as processCommand, raise } from 'domaind/client';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { pgTable, text } from 'drizzle-orm/pg-core';
import type { PoolClient } from 'pg';

export const shopOrder = pgTable('shop_order', { id: text('id').primaryKey(), customer: text('customer').notNull() });

/** A transaction of Drizzle, and the client of `pg` below it, which is what runs parametrised texts. */
export interface Transaction {
  readonly tx: Pick<NodePgDatabase, 'insert'>;
  readonly client: PoolClient;
}

/** An order, the event that tells of it and a command that follows from it, all in the transaction that is given. */
export async function placeOrder(
  { tx, client }: Transaction,
  order: { readonly id: string; readonly customer: string },
): Promise<readonly string[]> {
  const run = (text: string, params: string[]) => client.query(text, params);
  await tx.insert(shopOrder).values(order);
  const data = { order_id: order.id, customer: order.customer };
  const event = await raise(run, 'OrderPlaced', { category: 'order', id: order.id, data });
  const command = await processCommand(run, 'PackOrder', data, { category: 'parcel' });
  return [event, command];
}
