/** Gauges of which each process has its own part. */
const summed =
  /^(domaind_(messages_in_flight|partitions_owned|partitions_blocked)|process_(resident_memory|virtual_memory|heap)_bytes|process_open_fds|nodejs_(heap|external|active)_.*)$/;
/** Gauges of which the least counts for all. */
const least = /^process_start_time_seconds$/;

interface Family {
  readonly help: string;
  readonly type: string;
  /** By name and labels, as they are written. */
  readonly samples: Map<string, number>;
}

/** Metrics in the text format, taken apart. */
export type Families = ReadonlyMap<string, Family>;

/** Reads what this daemon's own metrics look like in the text format of Prometheus. */
export function readMetrics(text: string): Families {
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  let current: Family | null = null;
  for (const line of text.split('\n')) {
    const [mark, word, name = '', ...rest] = line.split(' ');
    if (mark === '#' && word === 'HELP') helps.set(name, rest.join(' '));
    else if (mark === '#' && word === 'TYPE') {
      current = { help: helps.get(name) ?? '', type: rest[0] ?? 'untyped', samples: new Map() };
      families.set(name, current);
    } else if (line !== '') {
      const end = line.lastIndexOf(' ');
      current?.samples.set(line.slice(0, end), Number(line.slice(end + 1)));
    }
  }
  return families;
}

/** What a process that has ended leaves behind: counts, which must never fall. */
export const countsIn = (families: Families): Families =>
  new Map([...families].filter(([, { type }]) => isCount(type)));

/**
 * The metrics of several processes as those of one: counts and what each has its own part of are added up; of what all
 * see alike, as the state of an outbox, the greatest is taken.
 */
export function mergeMetrics(all: readonly Families[]): Families {
  const merged = new Map<string, Family>();
  for (const families of all) {
    for (const [name, { help, type, samples }] of families) {
      const family = merged.get(name) ?? { help, type, samples: new Map<string, number>() };
      merged.set(name, family);
      const together = isCount(type) || summed.test(name) ? add : least.test(name) ? Math.min : Math.max;
      for (const [sample, value] of samples) {
        const known = family.samples.get(sample);
        family.samples.set(sample, known === undefined ? value : together(known, value));
      }
    }
  }
  return merged;
}

/** The same as text. */
export const writeMetrics = (families: Families): string =>
  [...families]
    .map(([name, { help, type, samples }]) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} ${type}`,
        ...[...samples].map(([sample, value]) => `${sample} ${written(value)}`),
        '',
      ].join('\n'),
    )
    .join('\n');

const isCount = (type: string) => type === 'counter' || type === 'histogram';
const add = (one: number, other: number) => one + other;
const written = (value: number) =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
