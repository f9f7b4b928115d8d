import { type Path, showKey, showTable } from './tree.ts';

/** A fault before its place in the text is known: every check of config/ returns these, and load-config.ts renders them. */
export interface Finding {
  /** As in Fault: `unknown_key`, `wrong_type`, `out_of_range`, `missing`, `conflict`, … */
  readonly code: string;
  /** In the effective configuration: no overlay, no alias. Empty for the file as a whole. */
  readonly path: Path;
  /** Whether the sentence is about a key or about a table: `[brokers.default] URI: …` or `[brokers.default] …`. */
  readonly about: 'key' | 'table';
  /** What is wrong and what to do, without the key. Never a secret. */
  readonly sentence: string;
}

export const aboutKey = (code: string, path: Path, sentence: string): Finding => ({
  code,
  path,
  about: 'key',
  sentence,
});

export const aboutTable = (code: string, path: Path, sentence: string): Finding => ({
  code,
  path,
  about: 'table',
  sentence,
});

/** `[brokers.default] URI: …`: a finding's whole sentence. `path`: where it is written. */
export const messageOf = ({ about, sentence }: Finding, path: Path): string =>
  about === 'table' ? `${showTable(path)} ${sentence}` : `${showKey(path)}: ${sentence}`;
