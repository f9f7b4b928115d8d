import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLineWriter } from '../../src/telemetry/line-writer.ts';

const folder = mkdtempSync(join(tmpdir(), 'line-writer-'));
after(() => rmSync(folder, { recursive: true }));

let made = 0;
const newPath = () => join(folder, `out-${++made}`);

/** A pipe, open at both ends and never blocking this test, that takes 64 KiB until somebody reads it. */
function openPipe(): number {
  const path = newPath();
  execFileSync('mkfifo', [path]);
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

function givenWriter(fd: number, maxHeld = 1_000_000) {
  let told = 0;
  const onDropped = (lines: number) => {
    told += lines;
  };
  const writer = createLineWriter({ fd, maxHeld }, { clock: systemClock, onDropped });
  return { writer, told: () => told };
}

describe('the writer of lines', () => {
  it('writes all lines in their order', async () => {
    const path = newPath();
    const fd = openSync(path, 'a');
    const { writer } = givenWriter(fd);
    const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index} é\n`);
    for (const line of lines) writer.write(line);
    await writer.flush(10_000);
    closeSync(fd);
    assert.equal(readFileSync(path, 'utf8'), lines.join(''));
    assert.equal(writer.dropped(), 0);
  });

  it('holds lines back while nobody reads, drops those beyond its bound, and counts them', async () => {
    const fd = openPipe();
    const { writer, told } = givenWriter(fd, 200_000);
    const line = `${'x'.repeat(99)}\n`;
    const taken = Array.from({ length: 5_000 }, () => writer.write(line)).filter((each) => each).length;
    assert.equal(taken, 2_000);
    await writer.flush(1_000);
    const written = readAvailable(fd, Buffer.alloc(200_000)).split('\n').length - 1;
    assert.ok(written > 0);
    assert.equal(writer.dropped(), 5_000 - written);
    assert.equal(told(), 5_000 - written);
    closeSync(fd);
  });

  it('writes on, whole lines only, once somebody reads again', async () => {
    const fd = openPipe();
    const { writer } = givenWriter(fd);
    const lines = Array.from({ length: 3_000 }, (_, index) => `${String(index).padStart(99, '.')}\n`);
    for (const line of lines) writer.write(line);
    let read = '';
    const buffer = Buffer.alloc(65_536);
    while (read.length < 300_000) {
      await new Promise((resolve) => setImmediate(resolve));
      read += readAvailable(fd, buffer);
    }
    await writer.flush(10_000);
    assert.equal(read, lines.join(''));
    assert.equal(writer.dropped(), 0);
    closeSync(fd);
  });

  it('goes on when the disk is full, and counts what that cost', async () => {
    const fd = openSync('/dev/full', 'a');
    const { writer } = givenWriter(fd);
    for (let round = 0; round < 3; round += 1) {
      writer.write('a\n');
      writer.write('b\n');
      await writer.flush(1_000);
    }
    assert.equal(writer.dropped(), 6);
    writer.flushSync();
    closeSync(fd);
  });

  it('goes on when its reader has gone', async () => {
    const path = newPath();
    execFileSync('mkfifo', [path]);
    const both = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    closeSync(both);
    const { writer } = givenWriter(fd);
    writer.write('a\n');
    await writer.flush(1_000);
    assert.equal(writer.dropped(), 1);
    closeSync(fd);
  });

  it('writes what it holds without an event loop', () => {
    const path = newPath();
    const fd = openSync(path, 'a');
    const { writer } = givenWriter(fd);
    writer.write('a\n');
    writer.write('b\n');
    writer.flushSync();
    closeSync(fd);
    assert.equal(readFileSync(path, 'utf8'), 'a\nb\n');
  });
});

describe('a daemon whose log cannot be written', () => {
  const child = fileURLToPath(new URL('../support/line-writer-child.ts', import.meta.url));

  async function run(stderr: number | 'pipe'): Promise<{ readonly code: number | null; readonly said: unknown }> {
    const running = spawn(process.execPath, ['--conditions=domaind-source', '--import=tsx', child], {
      stdio: ['ignore', 'pipe', stderr],
    });
    let out = '';
    running.stdout?.on('data', (chunk) => {
      out += chunk;
    });
    const code = await new Promise<number | null>((resolve) => running.on('close', resolve));
    return { code, said: JSON.parse(out) };
  }
  const allDropped = { beats: 20, dropped: 20_000, counted: 20_000 };

  it('works on and ends in time while nobody reads the pipe', { timeout: 60_000 }, async () => {
    const fd = openPipe();
    const { code, said } = await run(fd);
    assert.equal(code, 0);
    const { beats, dropped, counted } = said as typeof allDropped;
    assert.equal(beats, 20);
    assert.ok(dropped > 15_000, `dropped ${dropped}`);
    assert.equal(counted, dropped);
    closeSync(fd);
  });

  it('works on and ends in time while nobody reads the socket', { timeout: 60_000 }, async () => {
    const { code, said } = await run('pipe');
    assert.equal(code, 0);
    assert.equal((said as typeof allDropped).beats, 20);
  });

  it('works on and ends in time while the disk is full', { timeout: 60_000 }, async () => {
    const fd = openSync('/dev/full', 'a');
    const { code, said } = await run(fd);
    assert.equal(code, 0);
    const { beats, dropped, counted } = said as typeof allDropped;
    assert.deepEqual([beats, counted], [20, dropped]);
    assert.ok(dropped >= 20_000);
    closeSync(fd);
  });
});

function readAvailable(fd: number, buffer: Buffer): string {
  try {
    return buffer.toString('utf8', 0, readSync(fd, buffer));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    return '';
  }
}
