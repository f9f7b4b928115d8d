import type { Range, Told } from './campaign.ts';
import { simulate } from './scenario.ts';

async function simulateAll({ from, count }: Range): Promise<readonly Told[]> {
  const runs: Told[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const { trace: _trace, steps: _steps, faults, ...told } = await simulate(seed);
    runs.push({ ...told, faults: [...faults] });
  }
  return runs;
}

process.on('message', (range: Range) => {
  void simulateAll(range).then((runs) => process.send?.(runs));
});
