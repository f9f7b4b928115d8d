import { systemClock, systemRandom } from '../runtime/clock.ts';
import { UnavailableError, UsageError } from '../runtime/errors.ts';
import { toError } from '../runtime/failure.ts';
import type { Shutdown } from '../runtime/service.ts';
import type { Arguments } from './arguments.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { diagnose } from './diagnose.ts';
import type { Io } from './io.ts';
import { createRates } from './rates.ts';
import type { Scene } from './status-facts.ts';
import { lookUp, openScene } from './status-facts.ts';
import type { StatusView } from './status-text.ts';
import { statusJson, statusText, troubles } from './status-text.ts';

const usage = 'domaind status [--watch] [--config FILE] [--env NAME] [--json]';
const everyMs = 2_000;

/** `domaind status`: how the outbox, the subscriptions, the dead letters and the leases stand. No daemon needs to run. */
export const status: Command = {
  name: 'status',
  summary: 'how outbox, subscriptions, dead letters and leases stand',
  help: `usage: ${usage}

  --watch          look again every ${everyMs / 1_000} s, until Ctrl-C; with --json, one line each time
  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV

  LAG is what a group has not read yet, and BEHIND since when; PENDING what it has in hand, and OLDEST since when.
  While watching, IN/S is what is added to the stream and OUT/S what the group is done with, per second. What is wrong
  comes first, with its mend.

example: domaind status --watch`,
  async run(argv, io, shutdown) {
    const types = { config: 'string', env: 'string', watch: 'boolean', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [unexpected] = given.positionals;
    if (unexpected !== undefined) throw new UsageError(`unexpected "${unexpected}"\nusage: ${usage}`);
    const scene = await openScene(given, io);
    try {
      for (const each of scene.hidden) io.err(each);
      if (given.flag('watch')) await watch(scene, given, io, shutdown);
      else await once(scene, given, io);
      return 0;
    } finally {
      await scene.close();
    }
  },
};

/** What is wrong is said even where a server that is needed is away, and first. */
async function once(scene: Scene, given: Arguments, io: Io): Promise<void> {
  const [found, diagnosis] = await Promise.all([lookUp(scene).catch(toError), diagnosed(scene)]);
  if (found instanceof Error) {
    for (const trouble of troubles(diagnosis, io)) io.err(trouble);
    throw found;
  }
  show({ found, diagnosis, rates: null }, given, io, 2);
}

const diagnosed = ({ config, plan }: Scene) =>
  diagnose(config, plan, { clock: systemClock, random: systemRandom, tryNotify: false });

/** An outage is what one may be watching for: it is said, and looked at again. */
async function watch(scene: Scene, given: Arguments, io: Io, { soft }: Shutdown): Promise<void> {
  const clear = io.isTty && !given.flag('json') ? '\x1b[H\x1b[2J' : '';
  const measure = createRates(systemClock);
  while (!soft.aborted) {
    try {
      const [found, diagnosis] = await Promise.all([lookUp(scene), diagnosed(scene)]);
      if (!soft.aborted) show({ found, diagnosis, rates: measure(diagnosis) }, given, io, undefined, clear);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      io.err(error.message);
    }
    await systemClock.sleep(everyMs, soft);
  }
}

function show(view: StatusView, given: Arguments, io: Io, indent?: number, clear = ''): void {
  if (given.flag('json')) io.out(JSON.stringify(statusJson(view), null, indent));
  else io.out(clear + statusText(view, io));
}
