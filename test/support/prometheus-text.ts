/** A family of samples in the text format of Prometheus. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const suffixes: { readonly [type: string]: readonly string[] } = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Parses the text format (version 0.0.4) strictly: HELP and TYPE once and before the samples of their family, names of
 * the grammar, no sample twice, no sample outside its family, histograms cumulative and whole. Throws at the first fault.
 */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the text must end in a newline');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const fail = (what: string) => new Error(`${what}: ${line}`);
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (!metricName.test(name) || families.has(name)) throw fail('a name twice, or none');
      families.set(name, { type: '', help: rest, samples: [] });
      current = name;
      continue;
    }
    if (kind === 'TYPE') {
      const family = families.get(name);
      if (name !== current || family?.type !== '' || suffixes[rest] === undefined) throw fail('a type out of place');
      family.type = rest;
      continue;
    }
    const [, sample, labelText = '', number = ''] = sampleLine.exec(line) ?? [];
    const family = families.get(current);
    if (sample === undefined || family === undefined) throw fail('not a sample');
    if (!(suffixes[family.type] ?? []).some((suffix) => `${current}${suffix}` === sample))
      throw fail('outside its family');
    const value = /^[+-]?inf$/i.test(number)
      ? Number.POSITIVE_INFINITY
      : /^nan$/i.test(number)
        ? Number.NaN
        : Number(number);
    if (Number.isNaN(value) && !/^nan$/i.test(number)) throw fail('not a number');
    const labels = parseLabels(labelText, fail);
    const identity = `${sample}{${[...labels].map(([label, each]) => `${label}=${JSON.stringify(each)}`).sort()}}`;
    if (seen.has(identity)) throw fail('a sample twice');
    seen.add(identity);
    family.samples.push({ name: sample, labels, value });
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family.samples);
  return families;
}

function parseLabels(text: string, fail: (what: string) => Error): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const [, label, value] = labelPair.exec(text) ?? [];
    if (label === undefined || value === undefined || labels.has(label)) throw fail('labels');
    labels.set(
      label,
      value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    );
  }
  return labels;
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const key = ({ labels }: Sample) => JSON.stringify([...labels].filter(([label]) => label !== 'le').sort());
  for (const child of new Set(samples.map(key))) {
    const own = samples.filter((each) => key(each) === child);
    const buckets = own.filter((each) => each.name.endsWith('_bucket'));
    const bounds = buckets.map(({ labels }) =>
      labels.get('le') === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.get('le')),
    );
    const count = own.find((each) => each.name.endsWith('_count'))?.value;
    const grows = (values: readonly number[], strictly: boolean) =>
      values.every(
        (each, index) => index === 0 || each > (values[index - 1] ?? 0) || (!strictly && each === values[index - 1]),
      );
    const values = buckets.map(({ value }) => value);
    if (!grows(bounds, true) || !grows(values, false)) throw new Error(`${name} is not cumulative`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || values.at(-1) !== count) throw new Error(`${name} is not whole`);
  }
}
