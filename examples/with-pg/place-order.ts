import { raise } from 'domaind/client';
import type { Pool } from 'pg';

/** An order in `shop_order` and the event that tells of it, in one transaction of `pg`: the event's id. */
export async function placeOrder(
  pool: Pool,
  order: { readonly id: string; readonly customer: string },
): Promise<string> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('insert into shop_order (id, customer) values ($1, $2)', [order.id, order.customer]);
    const messageId = await raise((text, params) => client.query(text, params), 'OrderPlaced', {
      category: 'order',
      id: order.id,
      data: { order_id: order.id, customer: order.customer },
    });
    await client.query('commit');
    return messageId;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}
