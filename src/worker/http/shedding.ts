// What a worker that has too much to do refuses, by cost, and in what words. Never what tells how it is, and never a
// change: a flag is switched off when things are bad.
import { type Route, routes } from '../../api/routes.ts';
import type { Cost, Overload } from '../overload.ts';
import type { Exchange } from '../transport/transport.ts';
import type { Deliver } from './deliver.ts';
import { type Refusal, refuse } from './refusal.ts';
import { copyRequest, declaredBytes, type RawRequest } from './request.ts';

const RETRY_SECONDS = 1;
export const RETRY_MS = 1000 * RETRY_SECONDS;

/** Tell how the service is, or what it can do; asked for by those who would end it if they got no answer. */
const NEVER: ReadonlySet<string> = new Set([
  'home',
  'livez',
  'readyz',
  'healthz',
  'metrics',
  'version',
  'openapi',
  'docs',
  'docsFile',
]);
/** A body of more is more than one context. */
const SMALL_BODY_BYTES = 4096;

/** One flag of one user. All else is a batch, a list, a stream or a socket. */
const CHEAP: ReadonlySet<string> = new Set(['evaluateFlag', 'evaluateFlagWithBody', 'ofrepEvaluateFlag', 'getFlag']);

const costs: readonly (Cost | undefined)[] = routes.map(costOf);

export function overloaded(): Refusal {
  return refuse('OVERLOADED', undefined, [['Retry-After', String(RETRY_SECONDS)]]);
}

/** Answers for a hot path, which has copied nothing of the request. */
export function createRefuseOverloaded(deliver: Deliver): (exchange: Exchange, routeIndex: number) => void {
  return (exchange, routeIndex) => {
    const request = copyRequest(exchange, performance.now());
    deliver.whole(exchange, { request, routeIndex, key: undefined, showsLimit: false }, overloaded());
  };
}

/** Whether the worker refuses this request. To be asked while `overload` is active. */
export function shedsRequest(overload: Overload, routeIndex: number, request: RawRequest): boolean {
  const cost = costs[routeIndex];
  if (cost === undefined) return false;
  const isLarge = declaredBytes(request) > SMALL_BODY_BYTES || isExplained(request.query);
  return overload.sheds(isLarge ? 'costly' : cost);
}

/** The same for the evaluation of one flag by GET, of which nothing is copied yet. */
export function shedsEvaluateGet(overload: Overload, query: string): boolean {
  return overload.sheds(isExplained(query) ? 'costly' : 'cheap');
}

/** Whether it refuses a message of a socket of this size. To be asked while `overload` is active. */
export function shedsMessage(overload: Overload, bytes: number): boolean {
  return overload.sheds(bytes > SMALL_BODY_BYTES ? 'costly' : 'cheap');
}

function isExplained(query: string): boolean {
  return query.includes('explain=');
}

/** undefined: never refused. */
function costOf(route: Route): Cost | undefined {
  if (route.write || NEVER.has(route.operationId)) return undefined;
  return CHEAP.has(route.operationId.replace(/Unprefixed$/, '')) ? 'cheap' : 'costly';
}
