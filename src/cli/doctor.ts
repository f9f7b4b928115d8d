import type { Finding } from '../doctor/finding.ts';
import { isSick } from '../doctor/finding.ts';
import { systemClock, systemRandom } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import { parseArguments } from './arguments.ts';
import type { Command } from './command.ts';
import type { Diagnosis } from './diagnose.ts';
import { diagnose } from './diagnose.ts';
import { findingText } from './finding-text.ts';
import type { Io } from './io.ts';
import { loadPlan } from './load-plan.ts';

const usage = 'domaind doctor [--config FILE] [--env NAME] [--json]';

/** `domaind doctor`: what is wrong with the servers and with what flows through them. No daemon needs to run. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'ask the servers what is wrong, and say how to mend it',
  help: `usage: ${usage}

  --config FILE    domain.toml; default: DOMAIND_CONFIG, else searched for
  --env NAME       the overlay; default: DOMAIND_ENV
  --json           for machines

Looks, and changes nothing: databases (reach, TLS, login, tables, grants, indexes, poolers, LISTEN, clock), brokers
(reach, TLS, login, privileges, eviction, persistence, memory, disk, clock), and what flows: relays, groups, consumers,
pending entries, dead letters, streams. What comes first is the cause of what comes after.

Exits with 1 where anything is wrong.

example: domaind doctor --env production`,
  async run(argv, io) {
    const types = { config: 'string', env: 'string', json: 'boolean', debug: 'boolean' } as const;
    const given = parseArguments(argv, types, usage);
    const [unexpected] = given.positionals;
    if (unexpected !== undefined) throw new UsageError(`unexpected "${unexpected}"\nusage: ${usage}`);
    const { config, plan, warnings } = await loadPlan(given, io);
    const found = await diagnose(config, plan, { clock: systemClock, random: systemRandom, tryNotify: true });
    if (given.flag('json')) io.out(JSON.stringify({ healthy: !isSick(found.findings), ...jsonOf(found) }, null, 2));
    else {
      for (const warning of warnings) io.err(`warning: ${warning}`);
      show(found, io);
    }
    return isSick(found.findings) ? 1 : 0;
  },
};

function show({ findings, databases, brokers }: Diagnosis, io: Io): void {
  for (const finding of findings) io.out(`${findingText(finding, io)}\n`);
  const looked = [
    ...databases.map(({ name }) => `database "${name}"`),
    ...brokers.map(({ name, streams }) => `broker "${name}" with ${streams.length} streams`),
  ];
  const at = looked.length === 0 ? 'nothing: all of it lives in the memory of the daemon' : looked.join(', ');
  io.out(isSick(findings) ? `looked at ${at}` : `all is well; looked at ${at}`);
}

const jsonOf = ({ findings, databases, brokers }: Diagnosis) => ({
  findings: findings.map(findingJson),
  databases: databases.map(({ name, state }) => ({ name, reached: !('away' in state) })),
  brokers: brokers.map(({ name, server, streams }) => ({
    name,
    reached: !('away' in server),
    streams: streams.map(({ stream, length }) => ({ stream, length })),
  })),
});

/** A finding, as `doctor` and `status` give it to machines. */
export const findingJson = ({ code, severity, subject, what, evidence, mend }: Finding) => ({
  code,
  severity,
  subject,
  what,
  evidence,
  mend,
});
