import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/until.ts';
import type { ArmedDaemon, ArmedDaemons } from './armed-daemons.ts';
import type { Fault } from './inside/passing.ts';

/** What came of one strike, counted where no fault reaches. */
export interface Counts {
  /** How often more than without the strike: entries published of the relay, starts of the handler elsewhere. */
  readonly duplicates: number;
  /** Of what should be there once: what is missing or there more than once. */
  readonly wrongEffects: number;
  readonly deadLetters: number;
}

/** Where daemons work, and how it is seen what they did. */
export interface Laboratory<Work> {
  readonly daemons: ArmedDaemons;
  /** How long a call hangs, and a process that stands still does so at most: longer than a lease, and than an entry is left alone. */
  readonly pauseMs: number;
  /** Gives them something to do. */
  send(work: Work): Promise<void>;
  /** Whether all that was sent is through, whoever did it. */
  isThrough(): Promise<boolean>;
  /** Of the last that was sent. */
  count(): Promise<Counts>;
}

export interface Strike {
  readonly point: string;
  readonly fault: Fault;
}

/** What a process that was late does with what it had in hand, it does within this. */
const afterwardsMs = 400;
const struckWithinMs = 40_000;

async function struck(among: readonly ArmedDaemon[], point: string): Promise<ArmedDaemon> {
  return until(
    `"${point}" to be passed`,
    async () => among.find(({ alive, reports }) => !alive || reports.includes('struck')) ?? null,
    struckWithinMs,
  );
}

/**
 * All daemons are ready to be struck; the first that comes to the point is, and the others are let be. Where the process
 * dies, another takes its place at once if it was one of two. Waits until what was late has been done.
 */
export async function strike<Work>(lab: Laboratory<Work>, { point, fault }: Strike, work: Work | null): Promise<void> {
  const { daemons, pauseMs } = lab;
  const aimedAt = await daemons.aim({ point, fault, hangMs: pauseMs });
  if (work !== null) await lab.send(work);
  const victim = await struck(aimedAt, point);
  switch (fault) {
    case 'throw':
      return;
    case 'kill':
      await victim.ended;
      daemons.replace(2);
      return;
    case 'second':
      await until('the second one to be through', async () => ((await lab.isThrough()) ? true : null), pauseMs).catch(
        () => undefined,
      );
      victim.signal('SIGCONT');
      break;
    case 'hang':
      break;
  }
  await until('the first one to go on', async () => (victim.reports.includes('went_on') ? true : null));
  await delay(afterwardsMs);
}

/** Waits until all is through and stays so. */
export async function quiet<Work>(lab: Laboratory<Work>): Promise<Counts> {
  await until('everything to be through', async () => ((await lab.isThrough()) ? true : null), 60_000).catch(
    (error) => {
      const logs = lab.daemons.living.map(({ pid, lastLines }) => `--- ${pid}\n${lastLines()}`).join('\n');
      throw new Error(`${String(error)}\n${logs}`);
    },
  );
  await delay(afterwardsMs);
  assert.ok(await lab.isThrough(), 'something came after everything was through');
  return lab.count();
}
