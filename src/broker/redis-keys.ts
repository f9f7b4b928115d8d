/** Where names become keys of Redis, and keys names again. */
export interface RedisKeys {
  keyOf(name: string): string;
  /** The names, each list of which one command may touch at once: on a cluster, those that share a slot. */
  together(names: readonly string[]): readonly (readonly string[])[];
}

/**
 * Without `hashTag`, a name is its key. With it, the category is put in braces, so that on a Redis Cluster a stream, its
 * partitions and lanes, its dead letters and its bookkeeping have one slot: `{bookshelf::order}:dlq`.
 */
export function createRedisKeys(hashTag: boolean): RedisKeys {
  if (!hashTag) return { keyOf: (name) => name, together: (names) => (names.length === 0 ? [] : [names]) };
  return {
    keyOf(name) {
      const category = categoryIn(name);
      return `{${category}}${name.slice(category.length)}`;
    },
    together(names) {
      const byCategory = new Map<string, string[]>();
      for (const name of names) {
        const category = categoryIn(name);
        const others = byCategory.get(category);
        if (others === undefined) byCategory.set(category, [name]);
        else others.push(name);
      }
      return [...byCategory.values()];
    },
  };
}

/** The text before the first single colon: `bookshelf::order` in `bookshelf::order:42:dlq`. */
const categoryIn = (name: string): string => /^(?:[^:]|::)+/.exec(name)?.[0] ?? name;
