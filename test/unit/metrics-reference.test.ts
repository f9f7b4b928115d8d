import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { metricsReference } from '../../scripts/metrics-reference.ts';

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('docs/metrics.md', () => {
  it('is what the metrics say of themselves: see scripts/metrics-reference.ts', () => {
    assert.equal(text('docs/metrics.md'), metricsReference());
  });
});

describe('docs/operations.md', () => {
  const page = text('docs/operations.md');

  it('has what to do for each alert, and for no other', () => {
    const { groups } = parse(text('helm/domaind/files/alerts.yaml')) as {
      readonly groups: readonly { readonly rules: readonly { readonly alert: string }[] }[];
    };
    const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    const sections = [...page.matchAll(/^### (Domaind\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections.sort(), [...alerts].sort());
  });

  it('names only metrics that there are', () => {
    const known = metricsReference();
    for (const [name] of page.matchAll(/domaind_[a-z_]+/g)) assert.ok(known.includes(`\`${name}\``), name);
  });
});
