// Which pages of other origins may call this service. Default none; never with credentials, for keys travel in headers.

export interface Cors {
  /** Whether any origin is allowed: then replies vary by it. */
  readonly enabled: boolean;
  /** Header lines for a reply to a request from `origin` (empty: none sent). */
  headers(origin: string): readonly (readonly [name: string, value: string])[];
  /** Header lines for a preflight beside those of `headers`; undefined when it is not one from an allowed origin. */
  preflight(request: {
    readonly origin: string;
    readonly method: string;
    readonly headers: string;
    readonly allow: string;
  }): readonly (readonly [name: string, value: string])[] | undefined;
}

const ALLOWED_HEADERS = new Set(['x-api-key', 'authorization', 'content-type', 'if-none-match']);
const OUR_HEADER = /^x-flags-[a-z0-9-]{1,64}$/;
const EXPOSED_HEADERS = 'ETag, Retry-After, X-Flags-Revision, X-Flags-Stale';
const PREFLIGHT_SECONDS = 600;

/** `origins`: exact ones, as browsers send them. */
export function createCors(origins: readonly string[]): Cors {
  const listed = new Set(origins);
  // Only a listed origin is ever written back, so that no client's text gets into a header.
  const allowed = (origin: string): string | undefined => (listed.has(origin) ? origin : undefined);
  const vary = [['Vary', 'Origin']] as const;
  const none = [] as const;
  return {
    enabled: listed.size > 0,
    headers(origin) {
      if (listed.size === 0) return none;
      const value = origin === '' ? undefined : allowed(origin);
      if (value === undefined) return vary;
      return [...vary, ['Access-Control-Allow-Origin', value], ['Access-Control-Expose-Headers', EXPOSED_HEADERS]];
    },
    preflight(request) {
      const value = request.origin === '' || request.method === '' ? undefined : allowed(request.origin);
      if (value === undefined) return undefined;
      const asked = request.headers
        .toLowerCase()
        .split(',')
        .map((name) => name.trim());
      const granted = asked.filter((name) => ALLOWED_HEADERS.has(name) || OUR_HEADER.test(name));
      return [
        ['Access-Control-Allow-Methods', request.allow],
        ...(granted.length === 0 ? [] : [['Access-Control-Allow-Headers', [...new Set(granted)].join(', ')] as const]),
        ['Access-Control-Max-Age', String(PREFLIGHT_SECONDS)],
      ];
    },
  };
}
