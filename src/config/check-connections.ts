import { aboutKey, aboutTable, type Finding } from './finding.ts';
import type { Reader } from './reader.ts';
import { readTextFile } from './text-file.ts';
import type { Path } from './tree.ts';
import { type UriKind, uriFault } from './uri.ts';

const example =
  'state provider = "redis" and URI = "redis://localhost:6379/0", or provider = "inline" to try things out';

/** Where the file must say how a provider is reached: by provider, the key and what it is. */
const reached: readonly {
  readonly section: string;
  readonly providers: readonly string[];
  readonly key: string;
  readonly kind: UriKind;
}[] = [
  { section: 'databases', providers: ['postgresql'], key: 'database_uri', kind: 'postgresql' },
  { section: 'brokers', providers: ['redis', 'redis_pubsub'], key: 'URI', kind: 'redis' },
  { section: 'caches', providers: ['redis'], key: 'URI', kind: 'redis' },
];

/** `brokers.default`, providers, connection URIs and TLS files. `resolve`: a path of the file, made absolute. */
export function checkConnections(reader: Reader, resolve: (path: string) => string): readonly Finding[] {
  const findings: Finding[] = [];
  const { names, text, stated } = reader;

  if (stated(['brokers']) === undefined || stated(['brokers', 'default']) === undefined) {
    findings.push(aboutTable('missing', ['brokers', 'default'], `is missing: ${example}`));
  }
  for (const section of ['databases', 'brokers', 'caches']) {
    for (const name of names([section])) {
      const path = [section, name, 'provider'];
      if (stated(path) === undefined)
        findings.push(
          aboutKey('missing', path, `is missing: name the provider${section === 'brokers' ? `: ${example}` : ''}`),
        );
    }
  }
  for (const { section, providers, key, kind } of reached) {
    for (const name of names([section])) {
      const provider = text([section, name, 'provider']) ?? '';
      if (providers.includes(provider)) checkUri([section, name, key], kind, `the provider "${provider}" needs it`);
    }
  }
  for (const name of names(['databases'])) {
    if (stated(['databases', name, 'direct_uri']) !== undefined)
      checkUri(['databases', name, 'direct_uri'], 'postgresql', '');
  }
  if (text(['event_store', 'provider']) === 'message_db') {
    checkUri(['event_store', 'database_uri'], 'postgresql', 'the provider "message_db" needs it');
  }
  if (stated(['idempotency', 'redis_url']) !== undefined) checkUri(['idempotency', 'redis_url'], 'redis', '');
  for (const name of names(['brokers'])) findings.push(...tlsFindings(reader, ['brokers', name], resolve));
  return findings;

  function checkUri(path: Path, kind: UriKind, why: string): void {
    const uri = stated(path);
    if (uri === undefined) findings.push(aboutKey('missing', path, `is missing: ${why}`));
    const fault = typeof uri === 'string' ? uriFault(uri, kind) : null;
    if (fault !== null) findings.push(aboutKey('bad_uri', path, fault));
  }
}

const maxPemBytes = 1_048_576;

function tlsFindings({ stated, text }: Reader, broker: Path, resolve: (path: string) => string): readonly Finding[] {
  const findings: Finding[] = [];
  const keys = ['tls_ca_file', 'tls_cert_file', 'tls_key_file', 'insecure_skip_verify'];
  const used = keys.filter((key) => stated([...broker, key]) !== undefined && stated([...broker, key]) !== false);
  const uri = text([...broker, 'URI']);
  const provider = text([...broker, 'provider']);
  const [first] = used;
  // An overlay for development may lie over a file that is all TLS.
  const plain = uri !== null && /^redis:/.test(uri) && provider !== 'inline';
  if (first !== undefined && plain)
    findings.push(aboutKey('conflict', [...broker, first], 'has no meaning without TLS: write the URI as rediss://'));
  for (const [one, other] of [
    ['tls_cert_file', 'tls_key_file'],
    ['tls_key_file', 'tls_cert_file'],
  ] as const) {
    if (used.includes(one) && !used.includes(other))
      findings.push(aboutKey('conflict', [...broker, one], `needs ${other} too`));
  }
  if (provider === 'inline') return findings;
  for (const key of used) {
    const file = text([...broker, key]);
    const read = file === null ? null : readTextFile(resolve(file), maxPemBytes);
    if (read?.kind === 'refused')
      findings.push(aboutKey('bad_file', [...broker, key], `the file "${file}" ${read.reason}`));
  }
  return findings;
}
