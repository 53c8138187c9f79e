/** A source of uniformly distributed numbers in [0, 1): jitter draws from it, tests pass a seeded one. */
export type Random = () => number;

export const systemRandom: Random = () => Math.random();
