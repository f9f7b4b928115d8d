import type { JsonPath } from './schema-node.ts';

/** `lines[0].price`. A key that may be anything, and so a piece of the payload, is shown as `*`. */
export const showPath = (path: JsonPath): string =>
  path
    .map((step) => (/^\d+$/.test(String(step)) ? `[${step}]` : `.${/^[\w$-]{1,64}$/.test(String(step)) ? step : '*'}`))
    .join('')
    .replace(/^\./, '');
