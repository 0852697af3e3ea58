// A request copied out of its exchange, which dies when the handler returns.
import { limits } from '../../limits.ts';
import type { Exchange } from '../transport/transport.ts';
import { nextRequestId } from './request-id.ts';

export interface RawRequest {
  readonly method: string;
  /** As sent. */
  readonly path: string;
  /** As sent; empty when there is none. */
  readonly query: string;
  /** Names in lower case. Of a repeated one the first, as everywhere here; lists are joined. */
  readonly headers: ReadonlyMap<string, string>;
  /** True when the length of the body is told in a way that another server might read otherwise. */
  readonly ambiguous: boolean;
  /** performance.now() at its start. */
  readonly startedMs: number;
  /** From X-Request-Id, or made here. */
  readonly requestId: string;
  readonly traceparent: string | undefined;
}

const REQUEST_ID = new RegExp(`^[A-Za-z0-9._-]{1,${limits.requestIdCharsMax}}$`);
const LISTS = new Set([
  'if-match',
  'if-none-match',
  'access-control-request-headers',
  'transfer-encoding',
  'x-forwarded-for',
]);
const TRACEPARENT = /^[0-9a-f-]+$/;

export function copyRequest(exchange: Exchange, startedMs: number): RawRequest {
  return copyRequestOf(exchange, exchange.method(), exchange.path(), exchange.query(), startedMs);
}

/** The same for who knows the request line already. */
export function copyRequestOf(
  exchange: Exchange,
  method: string,
  path: string,
  query: string,
  startedMs: number,
): RawRequest {
  const headers = new Map<string, string>();
  let lengths = 0;
  exchange.eachHeader((name, value) => {
    if (name === 'content-length' || name === 'transfer-encoding') lengths += 1;
    const before = headers.get(name);
    if (before === undefined) headers.set(name, value);
    else if (LISTS.has(name)) headers.set(name, `${before}, ${value}`);
  });
  const encoding = headers.get('transfer-encoding');
  return {
    method,
    path,
    query,
    headers,
    // The server library takes the first Content-Length and any Transfer-Encoding; a proxy before us may not.
    ambiguous: lengths > 1 || (encoding !== undefined && encoding.toLowerCase() !== 'chunked'),
    startedMs,
    requestId: readRequestId(headers.get('x-request-id') ?? ''),
    traceparent: readTraceparent(headers.get('traceparent') ?? ''),
  };
}

/** The client's id when it is one, else a new one. */
export function readRequestId(header: string): string {
  return header !== '' && REQUEST_ID.test(header) ? header : nextRequestId();
}

/** W3C trace context as it goes into the log; undefined when it is not one. */
export function readTraceparent(header: string): string | undefined {
  return header.length > 0 && header.length <= limits.traceparentCharsMax && TRACEPARENT.test(header)
    ? header
    : undefined;
}

/** Bytes of the body that the request declares; 0 when it declares none. */
export function declaredBytes(request: RawRequest): number {
  const length = Number(request.headers.get('content-length') ?? '0');
  return Number.isFinite(length) ? length : 0;
}
