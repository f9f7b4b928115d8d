import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const shown = 30;
/** Node names them after process, thread and number. */
const mainThread = /\.\d+\.0\.\d+\.cpuprofile$/;

/** The functions of the largest self time in every profile of a folder, as shares of the time that was not idle. */
export async function summarizeProfiles(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter((file) => mainThread.test(file));
  const parts = files.map(async (file) => {
    const profile: CpuProfile = JSON.parse(await readFile(join(folder, file), 'utf8'));
    return `${file}\n${summary(profile)}`;
  });
  return (await Promise.all(parts)).join('\n\n');
}

function summary({ nodes, samples, timeDeltas }: CpuProfile): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const selfTime = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? '?';
    if (name.startsWith('(idle)')) continue;
    const time = timeDeltas[index] ?? 0;
    busy += time;
    selfTime.set(name, (selfTime.get(name) ?? 0) + time);
  }
  return [...selfTime]
    .sort(([, a], [, b]) => b - a)
    .slice(0, shown)
    .map(([name, time]) => `${((100 * time) / busy).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const file = url.replace(/^.*\/(dist|node_modules|src)\//, '$1/');
  return `${functionName || '(anonymous)'} ${file}${url === '' ? '' : `:${lineNumber + 1}`}`;
}
