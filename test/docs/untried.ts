/** Languages of blocks that no test runs, and why. */
export const untriedLanguages: readonly { readonly language: string; readonly reason: string }[] = [
  { language: 'dockerfile', reason: 'needs a registry; images are built by npm run test:image' },
];
