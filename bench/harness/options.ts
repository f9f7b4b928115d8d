import { parseArgs } from 'node:util';

const areas = ['relay', 'consumer', 'event-store'] as const;
export type Area = (typeof areas)[number];

export interface Options {
  readonly area: Area;
  /** Names of benches; empty for all of the area. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Small counts: to see that everything runs, not to compare anything. */
  readonly quick: boolean;
  /** Messages a run, for the benches of throughput. */
  readonly rows: number;
  /** Whether commits reach the disk, and Redis keeps its append-only file (fsync every second), as in production. */
  readonly fsync: boolean;
  /** The daemon's program. */
  readonly daemon: string;
  /** A folder for CPU profiles of the daemon, or null. */
  readonly cpuProfiles: string | null;
  readonly json: boolean;
}

export const usage = `usage: npm run bench -- relay|consumer|event-store [options]

  --only A,B        these benches only; an unknown name lists them all
  --quick           small counts and two rounds: shows that it runs, measures nothing
  --rounds N        rounds of each comparison (5)
  --rows N          messages a run (100000)
  --no-fsync        PostgreSQL without fsync and synchronous commits, Redis without its append-only file
  --daemon FILE     the daemon's program (dist/main.js, as \`npm run build\` makes it)
  --cpu-prof DIR    CPU profiles of the daemon go there, and a summary of each is printed
  --json            the outcomes as JSON

Needs redis-server, PostgreSQL's server programs and pgbench; for the peers, \`npm ci --prefix bench/peers --ignore-scripts\`.`;

export class BenchUsageError extends Error {}

/** Throws BenchUsageError for what it does not know. */
export function parseOptions(argv: readonly string[], defaultDaemon: string): Options {
  const { positionals, values } = parse(argv);
  const [asked, ...more] = positionals;
  const area = areas.find((each) => each === asked);
  if (area === undefined || more.length > 0) throw new BenchUsageError(usage);
  const quick = values.quick ?? false;
  return {
    area,
    only: values.only?.split(',').filter(Boolean) ?? [],
    rounds: whole('--rounds', values.rounds, quick ? 2 : 5),
    quick,
    rows: whole('--rows', values.rows, quick ? 10_000 : 100_000),
    fsync: !(values['no-fsync'] ?? false),
    daemon: values.daemon ?? defaultDaemon,
    cpuProfiles: values['cpu-prof'] ?? null,
    json: values.json ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean' },
        rows: { type: 'string' },
        'no-fsync': { type: 'boolean' },
        daemon: { type: 'string' },
        'cpu-prof': { type: 'string' },
        json: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new BenchUsageError(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
}

function whole(name: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1) throw new BenchUsageError(`${name} takes a whole number, got "${given}"`);
  return value;
}
