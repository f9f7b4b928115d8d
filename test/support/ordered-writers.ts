import type { PostgresqlServer } from './postgresql-server.ts';

/** What a stream brought, as `<aggregate>:<number>`. */
export interface Findings {
  /** Numbers of one aggregate whose first occurrence came after that of a higher one. */
  readonly inversions: readonly string[];
  readonly missing: readonly string[];
  readonly duplicates: number;
}

/** Compares what arrived, in order, with what was committed: for each aggregate the numbers from 1 to its count. */
export function judge(arrived: readonly string[], committed: ReadonlyMap<string, number>): Findings {
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  const inversions: string[] = [];
  let duplicates = 0;
  for (const each of arrived) {
    if (seen.has(each)) {
      duplicates += 1;
      continue;
    }
    seen.add(each);
    const [aggregate = '', text] = each.split(':');
    const number = Number(text);
    if (number < (highest.get(aggregate) ?? 0)) inversions.push(each);
    else highest.set(aggregate, number);
  }
  const missing = [...committed].flatMap(([aggregate, count]) =>
    Array.from({ length: count }, (_, index) => `${aggregate}:${index + 1}`).filter((each) => !seen.has(each)),
  );
  return { inversions, missing, duplicates };
}

/** SQL that raises events `from` to `to` of one aggregate, a transaction each or all in one. */
export function raising(aggregate: string, from: number, to: number, oneTransaction = false): string {
  const statements = Array.from({ length: to - from + 1 }, (_, index) => {
    const n = from + index;
    const call = `select outbox_raise_event('OrderPlaced', 'order', '${aggregate}', '{"at":"${aggregate}:${n}"}'::json)`;
    return oneTransaction ? `perform ${call.slice('select '.length)};` : `${call};`;
  });
  return oneTransaction ? `do $do$ begin ${statements.join('\n')} end $do$;` : statements.join('\n');
}

export interface Writing {
  readonly aggregates: number;
  readonly each: number;
  readonly writers: number;
}

/**
 * Writers side by side, each with aggregates of its own, since the order of an aggregate is that of its commits. Resolves
 * with what was committed.
 */
export async function write(
  { psql }: PostgresqlServer,
  url: string,
  { aggregates, each, writers }: Writing,
): Promise<ReadonlyMap<string, number>> {
  const names = Array.from({ length: aggregates }, (_, index) => `a${index}`);
  const chunk = 10;
  const writer = async (mine: readonly string[]) => {
    for (let from = 1; from <= each; from += chunk) {
      await psql(url, mine.map((name) => raising(name, from, Math.min(each, from + chunk - 1))).join('\n'));
    }
  };
  await Promise.all(
    Array.from({ length: writers }, (_, index) => writer(names.filter((_name, at) => at % writers === index))),
  );
  return new Map(names.map((name) => [name, each]));
}
