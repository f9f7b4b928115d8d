// node --conditions=domaind-source --import tsx scripts/commands-reference.ts: writes docs/commands.md from the commands' own help.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from '../src/cli/command.ts';
import { commands } from '../src/cli/commands.ts';

const intro = `# Commands

What \`domaind COMMAND --help\` says, of every command. This page is made from it by \`scripts/commands-reference.ts\`.

- Tables and text are for people, \`--json\` is for machines: its keys are stable. What is asked for goes to stdout, all else to stderr.
- \`NO_COLOR\` takes colours away; where stdout is no terminal there are none, and nothing is folded or cut.
- \`--debug\` adds the stack to an error.
- No command but \`healthcheck\` needs a running daemon.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the command failed, or what it looked at is not well |
| 2 | it was called wrongly |
| 69 | a server could not be reached |
| 70 | a fault of domaind, or a handler that broke the process |
| 78 | the configuration or a handler module is wrong |
| 130, 143 | ended by force |
`;

/** The page, whole. */
export async function commandsReference(): Promise<string> {
  const all: readonly Command[] = await Promise.all([...commands.values()].map((load) => load()));
  const rows = all.map(({ name, summary }) => `| [\`${name}\`](#${name}) | ${summary} |`);
  const parts = all.map(({ name, help }) => `## ${name}\n\n\`\`\`text\n${help}\n\`\`\`\n`);
  return [intro, `| command | does |\n|---|---|\n${rows.join('\n')}\n`, ...parts].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../docs/commands.md', import.meta.url), await commandsReference());
}
