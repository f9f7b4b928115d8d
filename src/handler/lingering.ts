import type { Emit } from '../telemetry/event.ts';
import type { LogFacts } from './context.ts';

/** The handlers of this process that were cut short and still run: code cannot be stopped from outside. */
export interface Lingering {
  add(about: LogFacts | null, ended: Promise<void>): void;
  readonly count: number;
}

export interface LingeringDeps {
  readonly emit: Emit;
  /** Called once, when there are more than the limit: only a new process is rid of them. */
  readonly onTooMany: (count: number) => void;
}

export function createLingering(limit: number, { emit, onTooMany }: LingeringDeps): Lingering {
  let count = 0;
  let told = false;
  return {
    add(about, ended) {
      count += 1;
      void ended.then(() => {
        count -= 1;
      });
      emit({
        event: 'handler.lingering',
        subscription: about?.handler ?? 'unknown',
        message_type: about?.message_type ?? null,
        message_id: about?.message_id ?? null,
        lingering: count,
      });
      if (count <= limit || told) return;
      told = true;
      onTooMany(count);
    },
    get count() {
      return count;
    },
  };
}
