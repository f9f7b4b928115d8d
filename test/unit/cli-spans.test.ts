import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bar } from '../../src/cli/progress.ts';
import { durationIn, instantIn, paceIn, span, spanOrNone } from '../../src/cli/spans.ts';
import { formatTable } from '../../src/cli/table.ts';
import { UsageError } from '../../src/runtime/errors.ts';

const refusal = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('it is taken');
};

describe('A duration on the command line', () => {
  it('is a number with a unit', () => {
    const ms = ['90s', '10m', '2h', '7d', '0s'].map((text) => durationIn(text, '--older-than'));
    assert.deepEqual(ms, [90_000, 600_000, 7_200_000, 604_800_000, 0]);
  });

  it('without a unit is refused with the choice', () => {
    const text = refusal(() => durationIn('90', '--older-than'));
    assert.equal(text, '--older-than needs a unit: 90s, 90m, 90h or 90d, got "90"');
  });

  it('of any other form is refused with examples', () => {
    for (const text of ['', '10 m', '-5m', '1.5h', '2w', '1h30m', 'm', '10M', '٣m']) {
      assert.equal(
        refusal(() => durationIn(text, '--older-than')),
        `--older-than must be like 90s, 10m, 2h or 7d, got "${text}"`,
      );
    }
    assert.match(
      refusal(() => durationIn('99999999999999d', '--older-than')),
      /longer than a hundred years/,
    );
  });
});

describe('An instant on the command line', () => {
  it('is so long ago, or a time with its zone', () => {
    assert.deepEqual(instantIn('2h', '--since'), { kind: 'ago', ms: 7_200_000 });
    for (const iso of ['2026-11-23T14:00:00Z', '2026-11-23T14:00:00.123456+00:00', '2026-11-23 14:00-0500']) {
      assert.deepEqual(instantIn(iso, '--since'), { kind: 'at', iso });
    }
  });

  it('without a zone, or that is none, is refused', () => {
    for (const text of ['2026-11-23T14:00:00', '2026-11-23', 'yesterday', '2026-13-23T14:00:00Z', '']) {
      assert.match(
        refusal(() => instantIn(text, '--since')),
        /^--since must be a time with its zone like/,
      );
    }
    assert.match(
      refusal(() => instantIn('120', '--since')),
      /needs a unit/,
    );
  });
});

describe('A pace on the command line', () => {
  it('is so many in a second, a minute or an hour', () => {
    assert.deepEqual(
      ['50/s', '600/m', '10/h'].map((text) => paceIn(text, '--rate')),
      [20, 100, 360_000],
    );
  });

  it('of any other form is refused with examples', () => {
    for (const text of ['50', '0/s', '/s', '50/d', '-1/s', '5 /s']) {
      assert.equal(
        refusal(() => paceIn(text, '--rate')),
        `--rate must be like 50/s or 600/m, got "${text}"`,
      );
    }
  });
});

describe('A span for people', () => {
  it('is told in its two largest units', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0s'],
      [999, '0s'],
      [59_999, '59s'],
      [60_000, '1m'],
      [80_000, '1m 20s'],
      [7_200_000, '2h'],
      [7_290_000, '2h 1m'],
      [86_400_000, '1d'],
      [97_200_000, '1d 3h'],
    ];
    for (const [ms, text] of cases) assert.equal(span(ms), text);
    assert.equal(spanOrNone(null), '-');
  });
});

describe('A progress bar', () => {
  it('fills from nothing to all', () => {
    assert.equal(bar(0, 10), '[------------------------]   0 %');
    assert.equal(bar(5, 10), '[############------------]  50 %');
    assert.equal(bar(10, 10), '[########################] 100 %');
    assert.equal(bar(12, 10), '[########################] 100 %');
    assert.equal(bar(0, 0), '[########################] 100 %');
  });
});

describe('A table', () => {
  it('is cut at the edge and lets no control character through', () => {
    const text = formatTable(['NAME', 'ERROR'], [['a\u001b[31mb', `first\nsecond ${'x'.repeat(100)}`]], 40);
    assert.deepEqual(
      text.split('\n').map((line) => line.length <= 40),
      [true, true],
    );
    assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
    assert.match(text, /a\\u001b\[31mb {2}first\\nsecond/);
  });
});
