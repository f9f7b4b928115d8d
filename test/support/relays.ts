import type { Config } from '../../src/config/config.ts';
import type { Providers } from '../../src/providers.ts';
import { openProviders } from '../../src/providers.ts';
import { systemClock, systemRandom } from '../../src/runtime/clock.ts';
import { createHealthState } from '../../src/telemetry/health.ts';
import { observedLoops } from '../../src/telemetry/observed-loops.ts';
import type { Part } from '../../src/worker.ts';
import { createWorker } from '../../src/worker.ts';
import type { Events } from './events.ts';
import { createEvents } from './events.ts';

/** The relays of one replica, running in this process as in the daemon. */
export interface Relays {
  readonly providers: Providers;
  readonly events: Events;
  stop(): Promise<void>;
}

const parts: readonly Part[] = ['relay'];
let replicas = 0;

export async function startRelays(config: Config): Promise<Relays> {
  const events = createEvents();
  const { emit } = events;
  const shared = {
    clock: systemClock,
    random: systemRandom,
    emit,
    loopOptions: observedLoops(systemClock, systemRandom, emit),
  };
  const providers = openProviders(config, shared);
  const worker = createWorker(config, [], parts, providers, {
    ...shared,
    id: `replica-${replicas++}`,
    state: createHealthState(),
    handlerLog: () => {
      throw new Error('there are no handlers');
    },
  });
  const soft = new AbortController();
  await worker.connect(soft.signal);
  const running = worker.run({ soft: soft.signal, hard: soft.signal });
  return {
    providers,
    events,
    async stop() {
      soft.abort();
      await running;
      await providers.close();
    },
  };
}
