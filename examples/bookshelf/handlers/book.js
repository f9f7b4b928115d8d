import { commandHandler, projector } from 'domaind';

/** Takes books into stock. */
export const BookCommandHandler = commandHandler({
  category: 'book',
  examples: { AddBook: { title: 'Dune', author: 'Frank Herbert', price: 15.99 } },
  handles: {
    async AddBook(command, ctx) {
      const { book_id = command.id, title, author, price } = command.data;
      await ctx.store('books').put(book_id, { title, author, price });
      ctx.raise('BookAdded', { category: 'book', id: book_id, data: { book_id, title, author, price } });
      return { book_id };
    },
  },
});

/** The catalogue that the shop window shows. */
export const BookCatalogue = projector({
  categories: ['book'],
  handles: {
    async BookAdded(event, ctx) {
      const { book_id, title, author, price } = event.data;
      await ctx.store('catalogue').put(book_id, { label: `${title}, by ${author}`, price });
    },
  },
});
