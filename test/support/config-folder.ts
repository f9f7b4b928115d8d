import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Config } from '../../src/config/config.ts';
import { type LoadOptions, loadConfig } from '../../src/config/load-config.ts';
import { ConfigError, type Fault } from '../../src/runtime/errors.ts';

type Files = Readonly<Record<string, string | Uint8Array>>;

/** Runs `use` with a folder that holds these files, and removes it. Its name makes a domain's name: `shop`. */
export async function withFolder<Result>(files: Files, use: (folder: string) => Promise<Result>): Promise<Result> {
  const root = mkdtempSync(join(tmpdir(), 'domaind-config-'));
  const folder = join(root, 'shop');
  try {
    mkdirSync(folder);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return await use(folder);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

type Options = Partial<Pick<LoadOptions, 'env' | 'environment'>> & { readonly files?: Files };

/** A broker that needs nothing: most tests are about something else. */
export const inline = '[brokers.default]\nprovider = "inline"\n';

/** Loads a domain.toml with this text. */
export const load = (text: string | Uint8Array, { env = null, environment = {}, files = {} }: Options = {}) =>
  withFolder({ 'domain.toml': text, ...files }, (cwd) => loadConfig({ path: null, env, cwd, environment }));

export const configOf = async (text: string, options: Options = {}): Promise<Config> =>
  (await load(text, options)).config;

/** The faults of a domain.toml that must not load. */
export async function faultsOf(text: string | Uint8Array, options: Options = {}): Promise<readonly Fault[]> {
  try {
    await load(text, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  throw new Error('it loads');
}

/** `domain.toml:12:5 [brokers.default] URI: …`, one for each fault. */
export const sentencesOf = async (text: string | Uint8Array, options: Options = {}): Promise<readonly string[]> =>
  (await faultsOf(text, options)).map(({ where, message }) => `${where} ${message}`);
