import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';

/** How this process can import TypeScript; each fact a value, so that every combination can be tried. */
export interface TypeScriptFacts {
  /** Node strips types itself (22.18, 23.6 and later). */
  readonly native: boolean;
  /** This package runs from its TypeScript: whatever runs that runs handlers too. */
  readonly fromSource: boolean;
  /** The entry of tsx, as the handler's folder or this package has it; null where neither has. */
  readonly findTsx: (file: string) => string | null;
  readonly importTsx: (entry: string) => Promise<unknown>;
}

const facts: TypeScriptFacts = {
  // Not in the types of the oldest Node that is supported.
  native: Boolean((process.features as { readonly typescript?: unknown }).typescript),
  fromSource: import.meta.url.endsWith('.ts'),
  findTsx: (file) => resolved(file, 'tsx') ?? resolved(import.meta.url, 'tsx'),
  // The same as `node --import tsx`: from here on every import goes through it.
  importTsx: (entry) => import(pathToFileURL(entry).href),
};

function resolved(from: string, specifier: string): string | null {
  try {
    return createRequire(from).resolve(specifier);
  } catch {
    return null;
  }
}

export const isTypeScript = (file: string): boolean => ['.ts', '.mts', '.cts'].includes(extname(file));

/** What a file lacks that cannot be imported because it is TypeScript, as the end of a sentence. */
export const needsTypeScript = 'needs tsx or a newer Node: install tsx beside it (npm install tsx), or use Node 24';

/** Whether a file can be imported, as far as TypeScript goes: brings in tsx where Node does not do it. */
export function createTypeScriptSupport({ native, fromSource, findTsx, importTsx }: TypeScriptFacts = facts) {
  let supported = native || fromSource;
  return async function supports(file: string): Promise<boolean> {
    if (supported || !isTypeScript(file)) return true;
    const entry = findTsx(file);
    if (entry === null) return false;
    await importTsx(entry);
    supported = true;
    return true;
  };
}
