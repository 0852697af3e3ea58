// A percentage is parsed once, here, into an integer number of hundredths; nothing multiplies one at evaluation,
// where 0.07 * 100 is not 7.

/** Buckets that every user falls into one of; one is 0.01 %. */
export const BUCKET_COUNT = 10_000;

/** How far p * 100 may be from an integer: far more than floating point errs, far less than a third decimal. */
const EDGE_ERROR_MAX = 1e-6;

/**
 * The exclusive upper edge, 0 to 10000, of the first `percentage` percent of the buckets; undefined for what is no
 * percentage: not a number, below 0, above 100, or with more than two decimals.
 */
export function percentageToEdge(percentage: unknown): number | undefined {
  if (typeof percentage !== 'number' || !(percentage >= 0 && percentage <= 100)) return undefined;
  const edge = Math.round(percentage * 100);
  if (Math.abs(percentage * 100 - edge) > EDGE_ERROR_MAX) return undefined;
  // Math.round(-0) is -0.
  return edge + 0;
}

/** The percentage, at most two decimals, whose edge this is. */
export function edgeToPercentage(edge: number): number {
  return edge / 100;
}
