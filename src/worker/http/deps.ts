// What the HTTP side of a worker is given. Narrow on purpose: each is the part of another module that is used here.
import type { HashUser } from '../../core/compiled.ts';
import type { PrimaryLink, ServingKey, SnapshotHolder } from '../serving.ts';

export interface RequestLimiter {
  /** Takes one token: ADMITTED; SPENT: refused; WAIT: none here, but there may be some within 50 ms. */
  tryTake(key: ServingKey, nowMs: number): number;
  /** Waits for a token; false: refused after all. */
  waitTake(key: ServingKey): Promise<boolean>;
  /** Where the key stands in its window. limit 0: it has none. */
  standing(
    key: ServingKey,
    nowMs: number,
  ): { readonly limit: number; readonly remaining: number; readonly resetSeconds: number };
}

export interface RequestTallies {
  /** Counts one answered request. `routeIndex`: into the route table's labels. */
  request(routeIndex: number, status: number, seconds: number): void;
  /** Adds to a counter. */
  count(name: string, by: number): void;
}

export interface AccessRecord {
  readonly requestId: string;
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  readonly keyId: string | undefined;
  readonly traceparent: string | undefined;
}

export interface RequestLog {
  /** Whether a record with this status is wanted; asked once for every request, since it counts them. */
  wants(status: number): boolean;
  record(entry: AccessRecord): void;
}

export interface HttpDeps {
  readonly holder: SnapshotHolder;
  readonly link: Pick<PrimaryLink, 'command' | 'metrics' | 'connected'>;
  readonly limiter: RequestLimiter;
  readonly tallies: RequestTallies;
  readonly accessLog: RequestLog;
  readonly config: { readonly host: string; readonly port: number; readonly allowedOrigins: readonly string[] };
  readonly build: { readonly version: string; readonly build: string };
  readonly hash: HashUser;
  readonly logger: { error(fields: object, message: string): void };
  /** This worker's own tallies as Prometheus text, for when the primary does not answer. */
  readonly ownMetrics: () => string | Promise<string>;
}
