import { normalizeDomain } from '../message/stream-name.ts';
import { aboutKey, type Finding } from './finding.ts';
import type { Reader } from './reader.ts';
import { mapValues, type Table } from './tree.ts';

/** The domain's name, paths that are none, and control characters. `folder`: the name of the file's folder. */
export function checkNames(reader: Reader, tree: Table, folder: string): readonly Finding[] {
  return [...domainFindings(reader, folder), ...pathFindings(reader), ...controlCharacters(tree)];
}

function domainFindings({ stated, text }: Reader, folder: string): readonly Finding[] {
  const name = text(['name']);
  if (name !== null && name !== '' && normalizeDomain(name) === '') {
    return [
      aboutKey(
        'bad_name',
        ['name'],
        `${JSON.stringify(name)} has no letter or digit of the Latin alphabet, which streams are named by`,
      ),
    ];
  }
  if (stated(['name']) === undefined && normalizeDomain(folder) === '') {
    return [
      aboutKey('missing', ['name'], `is missing: the folder's name, ${JSON.stringify(folder)}, does not make one`),
    ];
  }
  return [];
}

const url = /^[A-Za-z][A-Za-z0-9+.-]+:/;

function pathFindings({ stated, text, texts }: Reader): readonly Finding[] {
  const one = (path: readonly (string | number)[], value: string | null) =>
    value !== null && url.test(value)
      ? [aboutKey('bad_value', path, `expected a path, got a URL ("${url.exec(value)?.[0]}…")`)]
      : [];
  const handlers = ['handlers', 'path'];
  const listed = (texts(handlers) ?? []).flatMap((each, index) => one([...handlers, index], each));
  return [
    ...listed,
    ...(Array.isArray(stated(handlers)) ? [] : one(handlers, text(handlers))),
    ...one(['schemas', 'path'], text(['schemas', 'path'])),
  ];
}

/** A line break at the end of a secret is a common slip, and in a name it could forge a line of the log. */
function controlCharacters(tree: Table): readonly Finding[] {
  const findings: Finding[] = [];
  mapValues(tree, (value, path) => {
    const found =
      typeof value === 'string' && path[0] !== 'custom' && path[0] !== 'lint' ? /\p{Cc}/u.exec(value) : null;
    if (found) {
      const code = found[0].charCodeAt(0);
      const named =
        code === 10 || code === 13 ? 'a line break' : `the control character U+${code.toString(16).padStart(4, '0')}`;
      findings.push(aboutKey('control_character', path, `may not hold ${named}`));
    }
    return value;
  });
  return findings;
}
