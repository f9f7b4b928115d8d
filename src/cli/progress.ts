import type { Io } from './io.ts';

/** How far a long command has come, on stderr: a bar on a terminal, else a line now and then. */
export interface Progress {
  /** `total` null where it is not known. */
  at(done: number, total: number | null, note?: string): void;
  /** Takes the bar off the terminal. */
  end(): void;
}

const barWidth = 24;
const everyMs = 1_000;

/** `verb` is what is done, in the past: `replayed`. */
export function createProgress(verb: string, io: Io): Progress {
  let saidAt = performance.now();
  return {
    at(done, total, note) {
      const of = total === null ? `${verb} ${done}` : `${verb} ${done} of ${total}`;
      const text = note === undefined ? of : `${of}, ${note}`;
      if (io.progress !== undefined) return io.progress(total === null ? text : `${bar(done, total)} ${text}`);
      if (performance.now() - saidAt < everyMs) return;
      saidAt = performance.now();
      io.err(text);
    },
    end: () => io.progress?.(null),
  };
}

/** `[#########---------------]  37 %`. */
export function bar(done: number, total: number): string {
  const share = total <= 0 ? 1 : Math.min(1, done / total);
  const full = Math.floor(share * barWidth);
  return `[${'#'.repeat(full)}${'-'.repeat(barWidth - full)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
