import { projector } from 'domaind';

export const Measured = projector({
  categories: ['order'],
  batch: {
    size: 2_000,
    handle: (events, ctx) => ctx.sql`
      insert into effect (n) select unnest(${events.map(({ data }) => data.n)}::int[])`,
  },
  reset: (ctx) => ctx.sql`truncate effect`,
});
