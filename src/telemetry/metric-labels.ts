/** The label that stands for all that are too many. */
export const others = 'other';

/**
 * The category that a stream belongs to, as a label: `bookshelf::order-42` and the partition `bookshelf::order:42` are
 * both `bookshelf::order`; `bookshelf::order:command` and the backfill lane keep their names, and so do external streams.
 */
export function streamLabel(stream: string, laneSuffix: string | null): string {
  const domain = stream.indexOf('::');
  if (domain === -1) return stream;
  const dash = stream.indexOf('-', domain);
  const category = dash === -1 ? stream : stream.slice(0, dash);
  const colon = category.indexOf(':', domain + 2);
  if (colon === -1) return category;
  const kept = category
    .slice(colon + 1)
    .split(':')
    .filter((part) => part === 'command' || part === 'dlq' || part === laneSuffix);
  return [category.slice(0, colon), ...kept].join(':');
}

/** Values made for keys at first use, of which there are at most `limit`: all further keys share that of `other`. */
export function createBounded<Value>(limit: number, create: (key: string) => Value): (key: string) => Value {
  const values = new Map<string, Value>();
  return (key) => {
    const known = values.get(key);
    if (known !== undefined) return known;
    if (values.size >= limit && key !== others) return valueOfOthers();
    const made = create(key);
    values.set(key, made);
    return made;
  };

  function valueOfOthers(): Value {
    const shared = values.get(others) ?? create(others);
    values.set(others, shared);
    return shared;
  }
}
