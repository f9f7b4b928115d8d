import { eventHandler } from 'domaind';

export const Measured = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced: async ({ data }, ctx) => {
      await ctx.sql`insert into effect (n) values (${data.n})`;
    },
  },
});
