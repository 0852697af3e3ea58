// Hot path. What a worker counts about its requests. Numbers only ever grow, so that a report that is lost or comes
// twice changes nothing; the primary keeps the sums.
import type { TallyReport } from '../ipc/messages.ts';
import { LATENCY_BUCKETS, SERIES_LENGTH, STATUS_CLASSES, seriesOf } from '../observe/latency-buckets.ts';
import { logLinesDropped } from '../observe/logger.ts';

export interface Tallies {
  /** Counts one answered request. `routeIndex` is the position in `routes`, `seconds` the time it took here. */
  request(routeIndex: number, status: number, seconds: number): void;
  /** Sets a value that goes up and down; shown per worker. Name it burgee_worker_... with its unit at the end. */
  gauge(name: string, value: number): void;
  /** Adds to a counter; shown as the sum over workers. Name it burgee_..._total. */
  count(name: string, by: number): void;
  /** Requests of one route that were answered since the start; with `onlySuccess` those with 2xx. */
  answered(routeIndex: number, onlySuccess: boolean): number;
  /** Everything since the start. */
  report(): TallyReport;
}

const CLASS_COUNT = STATUS_CLASSES.length;
const BUCKET_COUNT = LATENCY_BUCKETS.length;
const SUM_OFFSET = SERIES_LENGTH - 1;

/** `routes` are the names that go into metrics: patterns, never addresses. */
export function createTallies(routes: readonly string[]): Tallies {
  // One row of SERIES_LENGTH for each route and status class: counts by bucket, beyond the last, sum of seconds.
  const rows = new Float64Array(routes.length * CLASS_COUNT * SERIES_LENGTH);
  const bounds = Float64Array.from(LATENCY_BUCKETS);
  const counters = new Map<string, number>();
  const gauges = new Map<string, number>();
  let residentBytes = 0;

  function histograms(): Record<string, number[]> {
    const result: Record<string, number[]> = {};
    for (let route = 0; route < routes.length; route++) {
      for (let index = 0; index < CLASS_COUNT; index++) {
        const from = (route * CLASS_COUNT + index) * SERIES_LENGTH;
        const row = Array.from(rows.subarray(from, from + SERIES_LENGTH));
        // Most routes never see most classes; those rows stay at home.
        if (row.some((value) => value !== 0)) {
          result[seriesOf(routes[route] as string, STATUS_CLASSES[index] as string)] = row;
        }
      }
    }
    return result;
  }

  return {
    request(routeIndex, status, seconds) {
      const classIndex = status < 300 ? 0 : status < 400 ? 1 : status < 500 ? 2 : 3;
      const from = (routeIndex * CLASS_COUNT + classIndex) * SERIES_LENGTH;
      let bucket = 0;
      // From below: nearly every request is in the first few.
      while (bucket < BUCKET_COUNT && seconds > (bounds[bucket] as number)) bucket++;
      rows[from + bucket] = (rows[from + bucket] as number) + 1;
      rows[from + SUM_OFFSET] = (rows[from + SUM_OFFSET] as number) + seconds;
    },
    gauge(name, value) {
      gauges.set(name, value);
    },
    count(name, by) {
      counters.set(name, (counters.get(name) ?? 0) + by);
    },
    answered(routeIndex, onlySuccess) {
      let count = 0;
      for (let index = 0; index < (onlySuccess ? 1 : CLASS_COUNT); index++) {
        const from = (routeIndex * CLASS_COUNT + index) * SERIES_LENGTH;
        for (let bucket = 0; bucket < SUM_OFFSET; bucket++) count += rows[from + bucket] as number;
      }
      return count;
    },
    report() {
      const { user, system } = process.cpuUsage();
      const counted = Object.fromEntries(counters);
      counted['burgee_log_lines_dropped_total'] = logLinesDropped();
      counted['burgee_worker_cpu_seconds_total'] = (user + system) / 1e6;
      const measured = Object.fromEntries(gauges);
      residentBytes = residentMemory() ?? residentBytes;
      measured['burgee_worker_resident_memory_bytes'] = residentBytes;
      return { counters: counted, histograms: histograms(), gauges: measured };
    },
  };
}

/** undefined while it cannot be read: that takes a file, and a process that is out of files goes on without. */
function residentMemory(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}
