import { appendFileSync } from 'node:fs';
import { eventHandler } from 'domaind';

/**
 * When each message was begun, by the clock that all processes of a machine share: [n, ns] pairs, written at the end.
 *
 * @type {string[]}
 */
const begun = [];

export const Measured = eventHandler({
  category: 'order',
  handles: {
    OrderPlaced({ data }) {
      begun.push(`${data.n} ${process.hrtime.bigint()}\n`);
    },
  },
});

process.once('exit', () => appendFileSync(process.env['BENCH_TIMES'] ?? '', begun.join('')));
