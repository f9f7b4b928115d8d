/**
 * The grammar of names, written here and nowhere else.
 *
 *   category            bookshelf::order              command category    bookshelf::order:command
 *   stream              bookshelf::order-42           command stream      bookshelf::order:command-42
 *   partition           bookshelf::order:42           lane                bookshelf::order:backfill
 *   dead letters        <stream>:dlq                  index of partitions <category>:__partitions__
 *   snapshots           bookshelf::order:snapshot-42
 *   replay to a group   <stream>:__replay__:<group>
 *   owner of a key      <group>:<key>:__lease__        how often it changed    <group>:<key>:__generation__
 */

/** `MyDomain` → `mydomain`, `My Domain 1.0` → `my_domain_1_0`, `Éclair Shop` → `eclair_shop`. */
export const normalizeDomain = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^_+|_+$/g, '');

/** `my_domain_1_0` → `MyDomain10`, `bookshelf` → `Bookshelf`. Takes a normalised name. */
export const camelDomain = (normalized: string): string =>
  normalized
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');

/** `order` → `bookshelf::order`; a category that already names its domain is kept. */
export const categoryOf = (domain: string, aggregate: string): string =>
  aggregate.includes('::') || aggregate === allCategories ? aggregate : `${domain}::${aggregate}`;

/** In the place of a category: everything in the event store. */
export const allCategories = '$all';

export const commandCategory = (category: string): string =>
  category.endsWith(':command') ? category : `${category}:command`;

export const streamOf = (category: string, id: string): string => `${category}-${id}`;

/** Where snapshots of an event-sourced aggregate are. */
export const snapshotStreamOf = (category: string, id: string): string => `${category}:snapshot-${id}`;

/** The category of a stream: the text before its first `-`. */
export function categoryOfStream(stream: string): string {
  const dash = stream.indexOf('-');
  return dash === -1 ? stream : stream.slice(0, dash);
}

/** The identifier in a stream's name, or null where it has none. */
export function idOfStream(stream: string): string | null {
  const dash = stream.indexOf('-');
  return dash === -1 ? null : stream.slice(dash + 1);
}

export const laneOf = (stream: string, suffix: string): string => `${stream}:${suffix}`;

export const partitionOf = (category: string, key: string): string => `${category}:${key}`;

export const partitionsOf = (category: string): string => `${category}:__partitions__`;

/** The key of a partition, its lanes or its replays; null where the stream is none of `category`. */
export function keyInPartition(category: string, stream: string): string | null {
  const [key] = stream.startsWith(`${category}:`) ? stream.slice(category.length + 1).split(':') : [];
  return key ?? null;
}

/** Who owns the partitions of `key` in `group`: `<owner>:<generation>`. */
export const leaseOf = (group: string, key: string): string => `${group}:${key}:__lease__`;

/** How often they had another owner. */
export const generationOf = (group: string, key: string): string => `${group}:${key}:__generation__`;

/** Who takes part in a group's partitions, and when each was last heard of. */
export const ownersOf = (group: string): string => `${group}:__owners__`;

/** Says in which partitions of a category there is something new: a hint, no more. */
export const wakeOf = (category: string): string => `${category}:__wake__`;

/** The same, by the index of the category's partitions. */
export const wakeBeside = (index: string): string => wakeOf(index.slice(0, index.lastIndexOf(':')));

/** The hash with the partitions that stand still behind a message that `group` gave up. */
export const blockedOf = (category: string, group: string): string => `${category}:__blocked__:${group}`;

/** Dead letters of a replay go where the first ones went. */
export const deadLettersOf = (stream: string): string => `${originOf(stream)}:dlq`;

/** The stream that a stream of dead letters is for; null where the name is none of one. */
export const sourceOfDeadLetters = (deadLetters: string): string | null =>
  deadLetters.endsWith(':dlq') && deadLetters.length > ':dlq'.length ? deadLetters.slice(0, -':dlq'.length) : null;

/** What is replayed to one group: only that group reads it, before the stream itself (ADR-4). */
export const replayOf = (stream: string, group: string): string => `${originOf(stream)}:__replay__:${group}`;

/** The stream that a replay is of; any other stream is its own. */
export const originOf = (stream: string): string => stream.replace(/:__replay__:[^:]*$/, '');

/** The hash with what is known of entries that failed in `group`: their attempts and their crashes. */
export const attemptsOf = (stream: string, group: string): string => `${stream}:__attempts__:${group}`;

/** Where a subscription of the event store says how far it has come. */
export const positionStream = (group: string, category: string): string => `position-${group}-${category}`;

/** Where it says which messages failed, and what became of them. */
export const failedStream = (group: string, category: string): string => `failed-${group}-${category}`;

/** Where it says up to which record of failures it has taken note. */
export const checkpointStream = (group: string, category: string): string => `recovery-checkpoint-${group}-${category}`;

/** The streams that subscriptions write about themselves, as an expression that PostgreSQL takes as well. */
export const subscriptionStreams = '^(position|failed|recovery-checkpoint)-';

export const isSubscriptionStream = (stream: string): boolean => new RegExp(subscriptionStreams).test(stream);

/** Whether `key` may name a partition: 1–255 characters, no `:`, none of the reserved words. */
export const isPartitionKey = (key: string, backfillSuffix: string): boolean =>
  key.length >= 1 &&
  key.length <= 255 &&
  !/[:\p{Cc}{}]/u.test(key) &&
  key !== 'dlq' &&
  key !== 'command' &&
  key !== backfillSuffix &&
  !/^__.*__$/.test(key);

/** Whether `name` may be a category or an external stream: printable, no braces, at most 255 characters. */
export const isStreamName = (name: string): boolean =>
  name.length >= 1 && name.length <= 255 && !/[\p{Cc}{}\s]/u.test(name);

/**
 * Whether `name` may be a category, with or without its domain: `order`, `bookshelf::order`. There is no `-` in it,
 * because a stream is named by its category, `-` and an id.
 */
export const isCategory = (name: string): boolean =>
  /^(?:[^-:{}\s\p{Cc}]{1,128}::)?[^-:{}\s\p{Cc}]{1,128}$/u.test(name);
