import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { TlsConfig } from '../config/config.ts';
import { MisconfiguredError } from '../runtime/errors.ts';

/** What node:tls wants of the files that domain.toml names. Throws MisconfiguredError for one that cannot be read. */
export function tlsOptions({ caFile, certFile, keyFile, insecureSkipVerify }: TlsConfig): ConnectionOptions {
  return {
    ...(caFile === null ? {} : { ca: fileAt(caFile) }),
    ...(certFile === null ? {} : { cert: fileAt(certFile) }),
    ...(keyFile === null ? {} : { key: fileAt(keyFile) }),
    rejectUnauthorized: !insecureSkipVerify,
    minVersion: 'TLSv1.2',
  };
}

function fileAt(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MisconfiguredError('tls_file', `the TLS file ${path} cannot be read`, { cause });
  }
}

/** Whether a connection failed over a certificate or the handshake: waiting does not mend that. */
export const isTlsFault = (error: Error): boolean =>
  'code' in error && /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(TLS|SSL)/.test(String(error.code));
