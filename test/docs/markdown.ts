import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a Markdown file. */
export interface Block {
  /** Relative to the top of the tree. */
  readonly file: string;
  /** Of its first fence, from 1. */
  readonly line: number;
  /** The first word after the fence; empty where there is none. */
  readonly language: string;
  readonly text: string;
}

/** Where it stands, as editors take it. */
export const placeOf = ({ file, line }: Pick<Block, 'file' | 'line'>): string => `${file}:${line}`;

/** Every Markdown file that users are given; the papers of test fixtures are none. */
export const documents: readonly string[] = [
  ...within('.', 0),
  ...within('docs'),
  ...within('examples'),
  ...within('helm'),
  ...within('src/cli/template'),
].sort();

function within(folder: string, depth = 5): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return depth > 0 && entry.name !== 'node_modules' ? within(path, depth - 1) : [];
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

export const textOf = (file: string): string => readFileSync(join(root, file), 'utf8');

export function blocksOf(file: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: {
    readonly fence: string;
    readonly line: number;
    readonly language: string;
    readonly lines: string[];
  } | null = null;
  for (const [index, line] of textOf(file).split('\n').entries()) {
    const [, fence = '', info = ''] = /^\s{0,3}(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open === null) {
      if (fence !== '') open = { fence, line: index + 1, language: info.trim().split(/\s/)[0] ?? '', lines: [] };
    } else if (fence.startsWith(open.fence) && info.trim() === '') {
      blocks.push({ file, line: open.line, language: open.language, text: `${open.lines.join('\n')}\n` });
      open = null;
    } else open.lines.push(line);
  }
  if (open !== null) throw new Error(`${file}:${open.line}: this block is not closed`);
  return blocks;
}

export const blocks: readonly Block[] = documents.flatMap(blocksOf);

/** Those of these languages. */
export const blocksIn = (...languages: readonly string[]): readonly Block[] =>
  blocks.filter(({ language }) => languages.includes(language));

/** The path of a program, or null where this machine has none. */
export function program(name: string): string | null {
  const [found = null] = (process.env['PATH'] ?? '').split(':').filter((folder) => existsSync(join(folder, name)));
  return found === null ? null : join(found, name);
}

/** Runs a program to its end; what it complained of where it fails, else null. */
export function complaintOf(command: string, args: readonly string[], cwd: string): string | null {
  try {
    execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return null;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    return `${stdout}${stderr}` || String(error);
  }
}
