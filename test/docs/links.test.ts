import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { documents, root, textOf } from './markdown.ts';

interface Link {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

/** Without what stands in fences and in `code`, line by line, so that lines keep their numbers. */
function prose(text: string): readonly string[] {
  let fenced = false;
  return text.split('\n').map((line) => {
    if (/^\s{0,3}(```|~~~)/.test(line)) {
      fenced = !fenced;
      return '';
    }
    return fenced ? '' : line.replaceAll(/`[^`]*`/g, (code) => ' '.repeat(code.length));
  });
}

const linksIn = (file: string): readonly Link[] =>
  prose(textOf(file)).flatMap((text, index) =>
    [...text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)="([^"]+)"/g)].map(
      ([, inline, reference, html]) => ({ file, line: index + 1, target: inline ?? reference ?? html ?? '' }),
    ),
  );

/** What a heading is linked by, as GitHub and GitLab make it. */
function anchorsIn(file: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const anchors = new Set<string>();
  let fenced = false;
  for (const line of textOf(file).split('\n')) {
    if (/^\s{0,3}(```|~~~)/.test(line)) fenced = !fenced;
    const [, heading] = fenced ? [] : (/^#{1,6}\s+(.*?)\s*#*$/.exec(line) ?? []);
    if (heading === undefined) continue;
    const name = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    anchors.add(times === 0 ? name : `${name}-${times}`);
  }
  return anchors;
}

/** What is wrong with a link; null when it leads somewhere. Addresses elsewhere are only looked at. */
function faultOf({ file, target }: Link): string | null {
  if (/^[a-z]+:/i.test(target)) {
    return URL.canParse(target) && /^(https|mailto):/.test(target) ? null : 'is no address that starts with https:';
  }
  const [path = '', anchor = ''] = target.split('#');
  const place = path === '' ? file : normalize(join(dirname(file), decodeURIComponent(path)));
  if (place.startsWith('..')) return 'leads out of the tree';
  if (!existsSync(join(root, place))) return 'leads nowhere';
  if (anchor === '') return null;
  if (statSync(join(root, place)).isDirectory() || !place.endsWith('.md'))
    return 'has an anchor in what has no headings';
  return anchorsIn(place).has(anchor) ? null : `finds no heading "${anchor}" in ${place}`;
}

describe('the links of the documents', () => {
  it('are many', () => {
    assert.ok(documents.flatMap(linksIn).length > 50);
  });

  it('lead to files and headings that are there', () => {
    const faults = documents.flatMap(linksIn).flatMap((link) => {
      const fault = faultOf(link);
      return fault === null ? [] : [`${link.file}:${link.line} (${link.target}) ${fault}`];
    });
    assert.deepEqual(faults, []);
  });

  it('would be caught leading nowhere', () => {
    const from = { file: 'docs/delivery.md', line: 1 };
    assert.equal(faultOf({ ...from, target: 'no-such-page.md' }), 'leads nowhere');
    assert.match(faultOf({ ...from, target: 'outbox.md#no-such-heading' }) ?? '', /finds no heading/);
    assert.equal(faultOf({ ...from, target: '../../elsewhere.md' }), 'leads out of the tree');
    assert.equal(faultOf({ ...from, target: 'outbox.md#rights' }), null);
  });
});

describe('the pages under docs', () => {
  it('are all reached from its index', () => {
    const reached = new Set(
      linksIn('docs/README.md').map(({ target }) => normalize(join('docs', target.split('#')[0] ?? ''))),
    );
    const pages = documents.filter((file) => /^docs\/[^/]+\.md$/.test(file) && file !== 'docs/README.md');
    assert.deepEqual(
      pages.filter((page) => !reached.has(page)),
      [],
    );
  });
});
