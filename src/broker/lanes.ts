import type { ConsumeOptions } from './broker.ts';

/** The streams of a consumer that take turns, each as its lanes in the order of preference. */
export type Lanes = readonly (readonly string[])[];

export const lanesIn = ({ streams }: Pick<ConsumeOptions, 'streams'>): Lanes =>
  streams.map((each) => (typeof each === 'string' ? [each] : each));
