// The buckets of the latency histogram, shared by who counts (workers) and who shows (the primary).

/**
 * Upper bounds in seconds, in steps of about 2.5. A single evaluation takes some 10 µs, so the first bucket, 50 µs, is
 * "nothing went wrong", and the next ones tell a busy loop from a stalled one. Writes wait for the database and every
 * worker: milliseconds. 10 s is where a command is given up (OUTCOME_UNKNOWN), so nothing takes longer.
 */
export const LATENCY_BUCKETS: readonly number[] = Object.freeze([
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]);

export const STATUS_CLASSES = Object.freeze(['2xx', '3xx', '4xx', '5xx'] as const);

/** Counts by bucket, one for what is beyond the last, and the sum in seconds: the length of a series in a report. */
export const SERIES_LENGTH = LATENCY_BUCKETS.length + 2;

/** Names a series of a report. */
export function seriesOf(route: string, statusClass: string): string {
  return `${route} ${statusClass}`;
}

/** The same the other way round; a route may have spaces, a status class has none. */
export function partsOfSeries(series: string): { readonly route: string; readonly statusClass: string } {
  const space = series.lastIndexOf(' ');
  return { route: series.slice(0, space), statusClass: series.slice(space + 1) };
}
