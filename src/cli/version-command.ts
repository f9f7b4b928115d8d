import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import { version } from './version.ts';

const usage = 'domaind version [--json]';

/** `domaind version`. */
export const versionCommand: Command = {
  name: 'version',
  summary: 'print the version',
  help: `usage: ${usage}\n\nexample: domaind version --json`,
  async run(argv, io) {
    const given = parseArguments(argv, { json: 'boolean' }, usage);
    io.out(given.flag('json') ? JSON.stringify({ version, node: process.version }) : version);
    return 0;
  },
};
