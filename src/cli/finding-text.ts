import type { Finding } from '../doctor/finding.ts';
import { foldText } from './fold-text.ts';
import type { Io } from './io.ts';

const colors = { error: '\x1b[31m', warning: '\x1b[33m', note: '\x1b[36m' } as const;

/** A finding for people: what is wrong, the proof, the mend. In colour on a terminal, unless NO_COLOR says otherwise. */
export function findingText({ severity, code, subject, what, evidence, mend }: Finding, io: Io): string {
  const width = io.isTty ? io.width : Number.POSITIVE_INFINITY;
  const text = foldText(
    [`${severity}: ${subject} ${what}  [${code}]`, `  seen:  ${evidence}`, `  mend:  ${mend}`].join('\n'),
    width,
  );
  const isColored = io.isTty && !io.environment['NO_COLOR'];
  return isColored ? text.replace(severity, `${colors[severity]}${severity}\x1b[0m`) : text;
}
