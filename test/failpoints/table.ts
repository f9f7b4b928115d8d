import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import type { Fault } from './inside/passing.ts';
import type { Counts, Laboratory } from './strike.ts';
import { quiet, strike } from './strike.ts';

/** How often more than without the strike; or from, and up to, where two processes run a race. */
export type Prediction = number | readonly [number, number];

/** One point: what is sent, and what each fault there costs. */
export interface Row<Work> {
  readonly point: string;
  readonly work: Work;
  /** Why these are the numbers, where it is not plain. */
  readonly why?: string;
  readonly duplicates: Readonly<Record<Fault, Prediction>>;
  /** 0 where left out. */
  readonly deadLetters?: number;
  /** Struck first, by a death, so that the point is come to. */
  readonly first?: string;
  /** Makes the point be come to: one of three daemons dies. */
  readonly provoke?: () => Promise<void>;
}

const faults: readonly Fault[] = ['kill', 'throw', 'hang', 'second'];
const text = (prediction: Prediction) => (typeof prediction === 'number' ? String(prediction) : prediction.join('–'));
const isMet = (prediction: Prediction, fact: number) =>
  typeof prediction === 'number' ? fact === prediction : fact >= prediction[0] && fact <= prediction[1];

/** A test for each point and fault, and the table of all at the end. */
export function tryAll<Work>(name: string, lab: () => Laboratory<Work>, rows: readonly Row<Work>[]): void {
  const lines: string[] = [];
  after(() => {
    const width = Math.max(...rows.map(({ point }) => point.length));
    const head = `${'point'.padEnd(width)}  fault   predicted  met  effects wrong  dead letters`;
    process.stdout.write(`\n${name}\n${[head, ...lines].join('\n')}\n\n`);
  });
  const width = Math.max(...rows.map(({ point }) => point.length));
  for (const { point, work, duplicates, deadLetters = 0, first, provoke, why } of rows) {
    for (const fault of faults) {
      const predicted = duplicates[fault];
      const title = `struck ${point} (${fault}) costs ${text(predicted)} duplicates${why === undefined ? '' : `: ${why}`}`;
      it(title, async () => {
        let facts: Counts | null = null;
        try {
          // Where one dies beforehand, the other two are there to be struck as soon as they come to the point.
          await lab().daemons.ready(first === undefined && provoke === undefined ? 2 : 3);
          if (first !== undefined) await strike(lab(), { point: first, fault: 'kill' }, work);
          await provoke?.();
          await strike(lab(), { point, fault }, first === undefined ? work : null);
          facts = await quiet(lab());
        } finally {
          const { duplicates: met, wrongEffects, deadLetters: letters } = facts ?? unknown;
          const cells = [point.padEnd(width), fault.padEnd(6), text(predicted).padStart(9), String(met).padStart(3)];
          const bad = facts === null || !isMet(predicted, met) || wrongEffects !== 0 || letters !== deadLetters;
          lines.push(
            `${cells.join('  ')}  ${String(wrongEffects).padStart(13)}  ${String(letters).padStart(12)}${bad ? '  ✖' : ''}`,
          );
        }
        assert.ok(isMet(predicted, facts.duplicates), `predicted ${text(predicted)}, met ${facts.duplicates}`);
        assert.deepEqual([facts.wrongEffects, facts.deadLetters], [0, deadLetters]);
      });
    }
  }
}

const unknown: Counts = { duplicates: Number.NaN, wrongEffects: Number.NaN, deadLetters: Number.NaN };
