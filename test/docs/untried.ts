/** Languages of blocks that no test runs, and why. */
export const untriedLanguages: readonly { readonly language: string; readonly reason: string }[] = [
  { language: 'dockerfile', reason: 'needs a registry; images are built by npm run test:image' },
];

/** Command lines that test/docs does not run, and why. */
export const untriedCommands: readonly { readonly line: RegExp; readonly reason: string }[] = [
  { line: /^docker |^kubectl |^helm (upgrade|test|rollback|uninstall) /, reason: 'needs an engine or a cluster' },
  { line: /^npm (ci|test|link|install|publish)\b|^npx /, reason: 'installs, or runs the tests: tried by .ci/run' },
  { line: /^npm run (build|check|format|bench|tools|test:\w+)\b/, reason: 'work on the tree itself, not on a domain' },
  { line: /^npm (start|run (producer|domaind))\b/, reason: 'tried by test/e2e/bookshelf.test.ts' },
  { line: /^node --conditions=domaind-source .*application\.ts$/, reason: 'tried by test/e2e/bookshelf.test.ts' },
  { line: /127\.0\.0\.1:3000\//, reason: "of the bookshelf's application, tried by test/e2e/bookshelf.test.ts" },
  {
    line: /^domaind (events|projection) /,
    reason: 'needs a Message DB: tried by test/integration/cli-events.test.ts and the tests of projections',
  },
  {
    line: /^domaind subscriptions (skip|dlq) /,
    reason: 'needs a partition that stands still: tried by test/e2e/partitions.test.ts',
  },
];

/** Documents whose commands have a test of their own, which reads them from there. */
export const triedElsewhere: readonly { readonly file: string; readonly test: string }[] = [
  { file: 'README.md', test: 'test/e2e/first-five-minutes.test.ts' },
  { file: 'docs/quickstart.md', test: 'test/e2e/quickstart.test.ts' },
];
