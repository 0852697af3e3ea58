// Lines about requests. At 60,000 requests a second one line each would cost more than the answers, so by default a
// few a second stand for all of their status class, and say for how many.
import type { AccessLogMode } from '../config.ts';
import { limits } from '../limits.ts';
import type { Logger } from './logger.ts';

export interface AccessRecord {
  readonly requestId: string;
  readonly method: string;
  /** The route's pattern, never the address: that has people in it. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  /** undefined: no valid key. */
  readonly keyId: string | undefined;
  /** Address of who asked; empty when the connection was gone before it could be told. */
  readonly client: string;
  readonly traceparent: string | undefined;
}

export interface AccessLog {
  /** To be asked once for every request, since it counts them: is a line wanted about this one? */
  wants(status: number): boolean;
  /** Writes the line that was wanted. */
  record(request: AccessRecord): void;
  close(): void;
}

// Budgets are handed out in tenths of a second, so that a line a second is not always the second's first request.
const TICK_MS = 100;
const TICKS_PER_SECOND = 1000 / TICK_MS;
// Index: 2xx with 1xx, 3xx, 4xx, 5xx.
const SAMPLED = [
  limits.accessLinesPerSecondMax,
  limits.accessLinesPerSecondMax,
  limits.accessLinesPerSecondMax,
  limits.accessErrorLinesPerSecondMax,
];

/** `every` starts a timer for the refill of budgets and returns what stops it. */
export function createAccessLog(
  logger: Pick<Logger, 'info' | 'error'>,
  mode: AccessLogMode,
  every: (ms: number, run: () => void) => () => void = interval,
): AccessLog {
  const perTick = SAMPLED.map((lines, index) => (mode === 'errors' && index < 2 ? 0 : lines / TICKS_PER_SECOND));
  const budget = Float64Array.from(perTick);
  // Requests since the class's last line, the next one included.
  const standing = new Float64Array(perTick.length);
  const stop = mode === 'all' ? () => {} : every(TICK_MS, refill);

  function refill(): void {
    for (let index = 0; index < budget.length; index++) budget[index] = perTick[index] as number;
  }

  return {
    wants(status) {
      const index = classIndex(status);
      standing[index] = (standing[index] as number) + 1;
      return mode === 'all' || (budget[index] as number) >= 1;
    },
    record(request) {
      const index = classIndex(request.status);
      const line = {
        request_id: request.requestId,
        method: request.method,
        route: request.route,
        status: request.status,
        duration_ms: Math.round(request.seconds * 1e6) / 1000,
        key_id: request.keyId,
        client: request.client === '' ? undefined : request.client,
        traceparent: request.traceparent,
        stands_for: standing[index] as number,
      };
      standing[index] = 0;
      budget[index] = (budget[index] as number) - 1;
      if (request.status >= 500) logger.error(line, 'request');
      else logger.info(line, 'request');
    },
    close: stop,
  };
}

function classIndex(status: number): number {
  return status >= 500 ? 3 : status >= 400 ? 2 : status >= 300 ? 1 : 0;
}

function interval(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms).unref();
  return () => clearInterval(timer);
}
