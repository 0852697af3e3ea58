/** See wrk.mjs. */
export function wrk(options: {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly core: number;
  readonly connections: number;
  readonly seconds: number;
  readonly script: string | undefined;
}): Promise<{ requestsPerSecond: number; p50Ms: number; p99Ms: number; requests: number }>;
