import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import type { Clock, Millis } from '../runtime/clock.ts';

/** Where finished lines go. Never blocks the work, never throws, and holds a bounded amount. */
export interface LineWriter {
  /** Takes a line with its newline; false where it had to be dropped. */
  write(line: string): boolean;
  /** Lines dropped so far: no room, no reader, or a full disk. */
  dropped(): number;
  /** Resolves when all lines have left, or after `withinMs`: what is still held then is dropped. */
  flush(withinMs: Millis): Promise<void>;
  /** For a process that is about to end and has no event loop any more: writes what goes without waiting. */
  flushSync(): void;
}

export interface LineWriterConfig {
  readonly fd: number;
  /** Characters held while the reader is slow; lines beyond are dropped. */
  readonly maxHeld: number;
}

export interface LineWriterDeps {
  readonly clock: Clock;
  readonly onDropped: (lines: number) => void;
}

/** How soon a full pipe is tried again. */
const retryMs: Millis = 20;

/**
 * Lines of one turn leave together, in one write at a time. A pipe that nobody reads holds the lines back until the
 * bound is reached; a reader that has gone (EPIPE) and a full disk (ENOSPC) cost the lines in hand; all are counted,
 * and writing goes on as soon as it can. pino's own destination is not used, because at the end of the process it waits
 * for as long as the pipe is blocked or the disk is full.
 */
export function createLineWriter(config: LineWriterConfig, deps: LineWriterDeps): LineWriter {
  const { maxHeld } = config;
  const fd = neverBlocking(config.fd);
  const { clock, onDropped } = deps;
  let queue: string[] = [];
  let held = 0;
  let lost = 0;
  let writing: Promise<void> | null = null;
  /** What is being written, from `at` on; `blocked` while it waits for the reader. */
  let chunk: { readonly bytes: Buffer; at: number; blocked: boolean } | null = null;
  let torn = false;
  let giveUp = new AbortController();

  function drop(lines: number): void {
    if (lines === 0) return;
    lost += lines;
    onDropped(lines);
  }

  async function drain({ signal }: AbortController): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (queue.length > 0 && !signal.aborted) {
      const size = held;
      chunk = { bytes: Buffer.from((torn ? '\n' : '') + queue.join('')), at: 0, blocked: false };
      queue = [];
      await writeChunk(chunk, signal);
      held -= size;
    }
    chunk = null;
    writing = queue.length > 0 ? drain(giveUp) : null;
  }

  async function writeChunk(whole: NonNullable<typeof chunk>, signal: AbortSignal): Promise<void> {
    while (whole.at < whole.bytes.length) {
      const { code, written } = await writeSome(fd, whole.bytes, whole.at);
      whole.at += written;
      if (code === null) continue;
      whole.blocked = code === 'EAGAIN';
      if (whole.blocked) await clock.sleep(retryMs, signal);
      if (whole.blocked && !signal.aborted) continue;
      torn = whole.at > 0;
      return drop(linesIn(whole.bytes.subarray(whole.at)));
    }
    torn = false;
  }

  return {
    write(line) {
      if (held + line.length > maxHeld) {
        drop(1);
        return false;
      }
      queue.push(line);
      held += line.length;
      writing ??= drain(giveUp);
      return true;
    },
    dropped: () => lost,
    async flush(withinMs) {
      if (writing === null) return;
      const done = new AbortController();
      const inTime = await Promise.race([
        writing.then(() => true),
        clock.sleep(withinMs, done.signal).then(() => false),
      ]);
      done.abort();
      if (inTime) return;
      giveUp.abort();
      giveUp = new AbortController();
      drop(queue.length);
      for (const line of queue) held -= line.length;
      queue = [];
      if (chunk?.blocked) await writing;
    },
    flushSync() {
      const waiting = chunk?.blocked ? chunk.bytes.subarray(chunk.at) : Buffer.alloc(0);
      let rest = Buffer.concat([waiting, Buffer.from(queue.join(''))]);
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
      } catch {
        // The process ends; there is nobody left to tell.
      }
      queue = [];
    },
  };
}

/** Lines that end in `bytes`. */
function linesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}

function writeSome(
  fd: number,
  bytes: Buffer,
  at: number,
): Promise<{ readonly code: string | null; readonly written: number }> {
  return new Promise((resolve) => {
    write(fd, bytes, at, bytes.length - at, null, (error, written) =>
      resolve({ code: error === null ? null : (error.code ?? 'unknown'), written: error === null ? written : 0 }),
    );
  });
}

/**
 * A write to a blocked pipe holds one of the four threads of Node's pool, and the process cannot end while it does. So
 * a pipe is opened once more for ourselves, to answer EAGAIN instead: the mode of the given descriptor is shared with
 * other processes, and each child that inherits it sets it back. A socket cannot be opened again: opening Node's own
 * stream for it does what can be done.
 */
function neverBlocking(fd: number): number {
  const stream = fd === 1 ? process.stdout : fd === 2 ? process.stderr : null;
  if (stream?.listenerCount('error') === 0) stream.on('error', () => undefined);
  if (!fstatSync(fd).isFIFO()) return fd;
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Not Linux, or a pipe that belongs to another user.
    return fd;
  }
}
