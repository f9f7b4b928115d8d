import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomaindError, UsageError } from '../runtime/errors.ts';
import type { Io } from './io.ts';

export interface Edited {
  readonly text: string;
  /** Writes the text to a file again, since the work would be lost; where that is. */
  keep(): Promise<string>;
}

/** Lets the user change a text in VISUAL or EDITOR, in a file that nobody else can read and that is gone afterwards. */
export async function editText(text: string, { environment }: Io): Promise<Edited> {
  const editor = environment['VISUAL'] || environment['EDITOR'];
  if (!editor) throw new UsageError('--edit needs an editor: set EDITOR');
  const folder = await mkdtemp(join(tmpdir(), 'domaind-edit-'));
  const file = join(folder, 'payload.json');
  try {
    await writeFile(file, `${text}\n`, { mode: 0o600 });
    await runEditor(editor, file);
    const edited = await readFile(file, 'utf8');
    return {
      text: edited,
      async keep() {
        const kept = join(await mkdtemp(join(tmpdir(), 'domaind-edit-')), 'payload.json');
        await writeFile(kept, edited, { mode: 0o600 });
        return kept;
      },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** By the shell, since EDITOR may hold arguments: `code --wait`. */
function runEditor(editor: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'editor', file], { stdio: 'inherit' });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) return resolve();
      reject(new DomaindError('editor_failed', `the editor ended with ${code ?? 'a signal'}; nothing is replayed`));
    });
  });
}
