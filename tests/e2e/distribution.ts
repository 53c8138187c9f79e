export interface Distribution {
  count: number;
  p50: number | null;
  p99: number | null;
  max: number | null;
}

/** Nearest rank, rounded to whole numbers; nulls where there is no value. */
export function distributionOf(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number) => {
    const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
    return value === undefined ? null : Math.round(value);
  };
  return { count: sorted.length, p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

export function describeDistribution({ p50, p99, max }: Distribution, unit: string): string {
  return p50 === null ? "no value" : `p50 ${p50} ${unit}, p99 ${p99} ${unit}, max ${max} ${unit}`;
}
