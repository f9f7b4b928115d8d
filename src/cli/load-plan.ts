import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { systemClock } from '../runtime/clock.ts';
import { loadDomain } from '../worker/load-domain.ts';
import type { PlanRow } from '../worker/plan.ts';
import { planFor } from '../worker/plan.ts';
import type { Arguments } from './arguments.ts';
import type { Io } from './io.ts';

export interface LoadedPlan {
  readonly config: Config;
  readonly plan: readonly PlanRow[];
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/** The configuration that `--config` and `--env` name, and its handlers as the daemon would run them. Throws ConfigError. */
export async function loadPlan(given: Arguments, io: Io): Promise<LoadedPlan> {
  const { config, warnings } = await loadConfig({
    path: given.text('config'),
    env: given.text('env'),
    cwd: io.cwd,
    environment: io.environment,
  });
  const { handlers, warnings: ofHandlers } = await loadDomain(config, { clock: systemClock });
  return { config, plan: planFor(config, handlers), warnings: [...warnings, ...ofHandlers] };
}
