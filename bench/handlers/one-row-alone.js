import { eventHandler } from 'domaind';
import postgres from 'postgres';

/** The same row by a client of the handler's own: nothing notes that the message was handled. */
const sql = postgres(process.env.DATABASE_URL ?? '', { max: 10 });

export const Measured = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: ({ data }) => sql.begin((tx) => tx`insert into effect (n) values (${data.n})`),
  },
});
