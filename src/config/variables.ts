import { readTextFile } from './text-file.ts';

export type Variable =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'absent' }
  /** It is there, but cannot be used; `reason` goes after its name. */
  | { readonly kind: 'unusable'; readonly reason: string };

export type Variables = (name: string) => Variable;

const maxBytes = 65_536;

/**
 * Looks variables up: `NAME` itself, else the content of the file that `NAME_FILE` names, less its last line break, as
 * secrets are mounted in containers. A variable that is set but empty is set.
 */
export function createVariables(environment: Readonly<Record<string, string | undefined>>): Variables {
  const own = (name: string) => (Object.hasOwn(environment, name) ? environment[name] : undefined);
  return (name) => {
    const text = own(name);
    const file = own(`${name}_FILE`);
    if (file === undefined) return text === undefined ? { kind: 'absent' } : { kind: 'text', text };
    if (text !== undefined) return { kind: 'unusable', reason: `and ${name}_FILE are both set: unset one of them` };
    const read = readTextFile(file, maxBytes);
    if (read.kind === 'text') return { kind: 'text', text: read.text.replace(/\r?\n$/, '') };
    return { kind: 'unusable', reason: `cannot be had: the file that ${name}_FILE names ${read.reason}` };
  };
}
