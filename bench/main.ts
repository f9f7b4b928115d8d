import { fileURLToPath } from 'node:url';
import { againstLimit as consumerLimit, inboxAgainstLimit, inboxCost } from './consumer/against-limit.ts';
import { idle } from './consumer/idle.ts';
import { endToEnd, latency } from './consumer/latency.ts';
import { peers } from './consumer/peers.ts';
import { bodySizes } from './consumer/sizes.ts';
import { rebuild } from './event-store/rebuild.ts';
import type { Bench } from './harness/bench.ts';
import { summarizeProfiles } from './harness/cpu-profile.ts';
import type { Options } from './harness/options.ts';
import { BenchUsageError, parseOptions } from './harness/options.ts';
import type { Outcome } from './harness/outcome.ts';
import { openPlace } from './harness/place.ts';
import { table } from './harness/table.ts';
import { againstLimit as relayLimit } from './relay/against-limit.ts';
import { churn } from './relay/churn.ts';
import { flatBacklog, flatPublished } from './relay/flat.ts';
import { idle as relayIdle, latency as relayLatency } from './relay/latency.ts';
import { peers as relayPeers } from './relay/peers.ts';
import { twoRelays } from './relay/two-relays.ts';
import { writers } from './relay/writers.ts';

const benches: { readonly [Area in Options['area']]: readonly Bench[] } = {
  relay: [relayLimit, relayPeers, relayLatency, relayIdle, writers, twoRelays, flatPublished, flatBacklog, churn],
  consumer: [consumerLimit, inboxAgainstLimit, inboxCost, peers, latency, endToEnd, idle, bodySizes],
  'event-store': [rebuild],
};

const startedAt = performance.now();

/** Where things stand, on stderr: the outcomes alone go to stdout. */
function progress(line: string): void {
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5);
  process.stderr.write(`${seconds} s  ${line}\n`);
}

function chosen({ area, only }: Options): readonly Bench[] {
  const all = benches[area];
  const unknown = only.filter((name) => all.every((bench) => bench.name !== name));
  if (unknown.length === 0) return only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
  const names = all.map(({ name }) => name).join(', ');
  throw new BenchUsageError(`no bench of ${area} is called ${unknown.join(', ')}; there are ${names}`);
}

/** One bench after the other, each on servers of its own. A bench that breaks is told, and the others still run. */
async function runAll(options: Options): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const bench of chosen(options)) {
    progress(`${options.area} ${bench.name}`);
    const place = await openPlace(options, progress);
    try {
      const found = await bench.run(place);
      for (const { bench: name, what, figure, target } of found) progress(`${name}: ${what}: ${figure} (${target})`);
      outcomes.push(...found);
    } catch (error) {
      process.exitCode = 1;
      process.stderr.write(`${options.area} ${bench.name} broke: ${error instanceof Error ? error.stack : error}\n`);
    } finally {
      await place.close();
    }
  }
  return outcomes;
}

async function main(): Promise<void> {
  const daemon = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  const options = parseOptions(process.argv.slice(2), daemon);
  const outcomes = await runAll(options);
  console.log(options.json ? JSON.stringify(outcomes, null, 2) : table(outcomes));
  if (options.cpuProfiles !== null) console.log(`\n${await summarizeProfiles(options.cpuProfiles)}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BenchUsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
