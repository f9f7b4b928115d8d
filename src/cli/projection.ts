import { UsageError } from '../runtime/errors.ts';
import type { Command } from './command.ts';
import { rebuild } from './projection-rebuild.ts';
import { showProjections } from './projection-status.ts';

const usage = `domaind projection status [NAME] | rebuild NAME [--pause] [--keep]`;

/** `domaind projection`: how read models stand, and how they are made anew. */
export const projection: Command = {
  name: 'projection',
  summary: 'how projectors of the event store stand, and read everything again for one',
  help: `usage: ${usage} [--config FILE] [--env NAME] [--json]

  status    how far each has come: messages to go, and how stale its read model is; who owns it
  rebuild   empties the read model by the projector's own function \`reset\`, and reads the event store from its
            beginning. Refuses while a daemon runs the projector
    --pause   takes it from the daemons meanwhile: they get it back at the end
    --keep    reads everything again onto what is there: for projectors without \`reset\`

  An interrupted rebuild goes on where it was: with the daemon, or by the same command with --keep.

example: domaind projection rebuild OrderSummary --pause`,
  async run(argv, io, shutdown) {
    const [what = '', ...rest] = argv;
    if (what === 'status') return showProjections(rest, io, usage);
    if (what === 'rebuild') return rebuild(rest, io, shutdown, usage);
    throw new UsageError(
      `${what === '' ? 'what of the projections?' : `there is no projection ${what}:`} status, rebuild\nusage: ${usage}`,
    );
  },
};
