import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

/** What `import` of `domaind` leads to where it is not installed: the running daemon itself, from src or from dist. */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const entries: { readonly [specifier: string]: string } = {
  domaind: new URL(`../index${extension}`, import.meta.url).href,
  'domaind/client': new URL(`../client/index${extension}`, import.meta.url).href,
  'domaind/testing': new URL(`../testing${extension}`, import.meta.url).href,
};

type Next = (specifier: string, context: object) => object;
type Resolve = (specifier: string, context: object, next: Next) => object;

/** Node 22.15 and later: hooks in this thread, for `require` as well. */
interface SynchronousHooks {
  registerHooks?(hooks: { readonly resolve: Resolve }): unknown;
}

let registered = false;

/**
 * Lets handlers say `import … from 'domaind'` in folders where the package is not installed. One that is installed
 * there comes first: its definitions are known by their mark.
 */
export function provideDomaind(): void {
  if (registered) return;
  registered = true;
  const { registerHooks } = nodeModule as SynchronousHooks;
  if (registerHooks) {
    registerHooks({ resolve: resolveHere });
  } else {
    nodeModule.register(hookModule(entries));
    provideToRequire();
  }
}

const entryOf = (specifier: string): string | undefined =>
  Object.hasOwn(entries, specifier) ? entries[specifier] : undefined;

const resolveHere: Resolve = (specifier, context, next) => {
  const entry = entryOf(specifier);
  if (entry === undefined) return next(specifier, context);
  try {
    return next(specifier, context);
  } catch {
    // Whatever keeps the package from being found: the daemon is here.
    return next(entry, context);
  }
};

interface CommonJsResolver {
  _resolveFilename(request: string, ...rest: readonly unknown[]): string;
}

/** The same for `require` in older versions, which modules that are compiled to CommonJS come down to. */
function provideToRequire(): void {
  const resolver = nodeModule.Module as unknown as CommonJsResolver;
  const resolveFilename = resolver._resolveFilename;
  resolver._resolveFilename = function resolveOrHere(request, ...rest) {
    const entry = entryOf(request);
    if (entry === undefined) return Reflect.apply(resolveFilename, this, [request, ...rest]);
    try {
      return Reflect.apply(resolveFilename, this, [request, ...rest]);
    } catch {
      return fileURLToPath(entry);
    }
  };
}

/**
 * The same for the hooks thread of older versions, as the URL of a module: it must not need a loader itself, as a file
 * of TypeScript would.
 */
export const hookModule = (urls: { readonly [specifier: string]: string }): string =>
  `data:text/javascript,${encodeURIComponent(`
    const entries = new Map(Object.entries(${JSON.stringify(urls)}));
    export async function resolve(specifier, context, next) {
      const entry = entries.get(specifier);
      if (entry === undefined) return next(specifier, context);
      try {
        return await next(specifier, context);
      } catch {
        return next(entry, context);
      }
    }`)}`;
