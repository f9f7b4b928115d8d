// npm run test:simulation: replicas in trouble, on a clock of their own.
//   npm run test:simulation                        10,000 seeds
//   npm run test:simulation -- --seeds 500 --from 1
//   npm run test:simulation -- --seed 42           one run again, with all that happens in it
import { parseArgs } from 'node:util';
import type { Told } from './campaign.ts';
import { campaign } from './campaign.ts';
import { replayOf } from './replay.ts';
import { simulate } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
  },
});

if (values.seed !== undefined) await replay(Number(values.seed));
else await run(Number(values.from), Number(values.seeds));

async function replay(seed: number): Promise<void> {
  const { trace, breaches } = await simulate(seed, { keepTrace: true });
  for (const line of trace) console.log(line);
  for (const breach of breaches) console.log(breach);
  console.log(breaches.length === 0 ? `Seed ${seed} is good.` : `Seed ${seed} breaks ${breaches.length} invariants.`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}

async function run(from: number, count: number): Promise<void> {
  const startedAt = performance.now();
  const runs: Told[] = [];
  await campaign({ from, count }, (told) => {
    runs.push(told);
    if (told.breaches.length > 0) console.log(`${replayOf(told.seed)}\n  ${told.breaches.join('\n  ')}`);
  });
  const sum = (of: (run: Told) => number) => runs.reduce((total, each) => total + of(each), 0);
  const faults = new Map<string, number>();
  for (const [kind, times] of runs.flatMap((each) => each.faults)) faults.set(kind, (faults.get(kind) ?? 0) + times);
  const recoveries = runs.map(({ recoveryMs }) => recoveryMs).toSorted((one, other) => one - other);
  const quantile = (part: number) => Math.round(recoveries[Math.floor(part * (recoveries.length - 1))] ?? 0);
  const worst = Math.max(...runs.map(({ recoveryMs, boundMs }) => recoveryMs / boundMs));
  const failed = runs.filter(({ breaches }) => breaches.length > 0);
  console.log(
    [
      `${runs.length} runs in ${Math.round((performance.now() - startedAt) / 1_000)} s, ${failed.length} of them bad`,
      `messages ${sum(({ sent }) => sent)}, dead letters ${sum(({ deadLetters }) => deadLetters)}`,
      `handled again ${sum(({ repeated }) => repeated)}, published again ${sum(({ republished }) => republished)}`,
      `faults ${[...faults].map(([kind, times]) => `${kind} ${times}`).join(', ')}`,
      `recovery p50 ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, max ${quantile(1)} ms; at most ${Math.round(worst * 100)} % of its bound`,
    ].join('\n'),
  );
  process.exitCode = failed.length === 0 ? 0 : 1;
}
