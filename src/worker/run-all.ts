import { setMaxListeners } from 'node:events';
import { toError } from '../runtime/failure.ts';
import type { Service, Shutdown } from '../runtime/service.ts';
import type { Emit } from '../telemetry/event.ts';

/** Runs services side by side. One that breaks stops the others, which still drain. */
export async function runAll(services: readonly Service[], shutdown: Shutdown, emit: Emit): Promise<void> {
  const broken = new AbortController();
  const soft = AbortSignal.any([shutdown.soft, broken.signal]);
  // Every loop of every subscription listens: more than the ten that Node takes for a leak.
  setMaxListeners(0, soft, shutdown.hard);
  const run = async (service: Service) => {
    try {
      await service.run({ soft, hard: shutdown.hard });
    } catch (thrown) {
      const err = toError(thrown);
      emit({ event: 'service.failed', service: service.name, err });
      broken.abort(err);
    }
  };
  await Promise.all(services.map(run));
  if (broken.signal.aborted) throw broken.signal.reason;
}
