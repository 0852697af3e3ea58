// Hot path.
// The short way of an evaluation by POST: what is plainly right is answered as soon as its body is there, and whatever
// is unusual goes, as it stands, to the pipeline, which alone knows how and in what order to refuse.
import { type OperationId, type Route, routes } from '../../api/routes.ts';
import { asFields, type Fields, own } from '../../core/reading.ts';
import { RANK } from '../../core/scopes.ts';
import { limits } from '../../limits.ts';
import { type Auth, rawKeyOf } from '../auth.ts';
import { ADMITTED } from '../limiter.ts';
import type { Overload } from '../overload.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { type Exchange, fillHead, type Handler, type HeldExchange } from '../transport/transport.ts';
import { checkMediaType, readEvaluationJson } from './body.ts';
import type { Answer } from './call.ts';
import type { Deliver, Delivery } from './deliver.ts';
import type { HttpDeps } from './deps.ts';
import { defaultEnvironment } from './environment.ts';
import type { Leave, Left, Pipeline } from './pipeline.ts';
import type { PreparedHead } from './prepared-head.ts';
import { isRefusal } from './refusal.ts';
import { copyRequestOf, declaredBytes, type RawRequest } from './request.ts';

/** A request that nothing is unusual of, as far as all routes go. */
export interface ShortCall {
  readonly delivery: Delivery & { readonly key: ServingKey };
  readonly held: HeldExchange;
  readonly snapshot: ServingSnapshot;
  readonly environment: ServingEnvironment;
  readonly body: Fields;
  readonly bodyBytes: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Answers, now or later. False: nothing was begun, and the pipeline takes the request. */
export type ShortResponder = (call: ShortCall) => boolean;

export interface ShortReplies {
  /** 200 with JSON, as the pipeline would send it. `last`: a header line more, as fillHead takes it. */
  json(call: ShortCall, body: string | Uint8Array, last: string): void;
  /** Any other. Its headers tell the snapshot that is served then, which may be a later one than the call's. */
  other(call: ShortCall, answer: Answer): void;
  /** Whether the client has gone. Then nobody reads an answer, and this ends the call as the pipeline would. */
  isGone(call: ShortCall): boolean;
}

export function createShortReplies(deliver: Deliver, preparedHead: PreparedHead): ShortReplies {
  return {
    json({ held, delivery, snapshot }, body, last) {
      const client = deliver.clientForLine(held, delivery, 200);
      held.send('200 OK', fillHead(preparedHead(snapshot), delivery.request.requestId, last), body);
      deliver.count(delivery, 200, client);
    },
    other({ held, delivery }, answer) {
      deliver.whole(held, delivery, answer);
    },
    isGone({ held, delivery }) {
      if (held.aborted) deliver.count(delivery, 204, deliver.clientForLine(held, delivery, 204));
      return held.aborted;
    },
  };
}

export function createShortPost(
  deps: {
    readonly http: Pick<HttpDeps, 'holder' | 'limiter'>;
    readonly auth: Auth;
    readonly pipeline: Pipeline;
    readonly leave: Leave;
    readonly overload: Overload;
    /** Whether pages of other origins may call: then a request from one takes the way that adds their headers. */
    readonly corsEnabled: boolean;
  },
  operationId: OperationId,
  respond: ShortResponder,
): { readonly pattern: string; readonly handler: Handler } {
  const { holder, limiter } = deps.http;
  const { auth, pipeline, leave, overload, corsEnabled } = deps;
  const routeIndex = routes.findIndex((route) => route.operationId === operationId);
  const { pattern, body: bodySpec, environment: named } = routes[routeIndex] as Route;
  const member = bodySpec?.attributes ?? 'attributes';

  /** The body is there. False: nothing was begun. */
  function answer({ request, key, snapshot, held }: Left, bytes: Uint8Array): boolean {
    const nowMs = Date.now();
    // The body may have come long after its head: what changed meanwhile, and what was revoked, is seen by the pipeline.
    if (holder.current !== snapshot || !(nowMs < key.expiresAtMs)) return false;
    const parsed = readEvaluationJson(bytes, member);
    if (isRefusal(parsed)) return false;
    const body = asFields(parsed.value);
    if (body === undefined) return false;
    const header = named === 'header' ? request.headers.get('x-flags-environment') : undefined;
    const environment = findEnvironment(snapshot, key, header, own(body, 'environment'));
    if (environment === undefined) return false;
    const delivery = { request, routeIndex, key, showsLimit: false };
    return respond({ delivery, held, snapshot, environment, body, bodyBytes: bytes.byteLength, nowMs });
  }

  function shortPost(exchange: Exchange): void {
    const startedMs = performance.now();
    const snapshot = holder.current;
    overload.count();
    // Which requests are too much is the pipeline's to say.
    if (snapshot === undefined || exchange.query() !== '' || overload.active) return pipeline(exchange, undefined);
    const request = copyRequestOf(exchange, 'POST', pattern, '', startedMs);
    if (isUnusual(request, corsEnabled)) return pipeline(exchange, undefined);
    const nowMs = Date.now();
    const rawKey = rawKeyOf(request.headers.get('x-api-key') ?? '', request.headers.get('authorization') ?? '');
    const key = auth.find(rawKey, snapshot, nowMs);
    if (key === undefined) return pipeline(exchange, undefined);
    const verdict = limiter.tryTake(key, nowMs);
    if (verdict !== ADMITTED || key.rank < RANK.evaluate) return pipeline(exchange, { key, verdict });
    const held = exchange.hold(limits.bodyBytesMax);
    const left = { request, routeIndex, key, snapshot, held };
    // The one closure of a request: its body comes after this has returned.
    held.whenEnded((bytes) => {
      let failure: unknown;
      try {
        if (bytes !== undefined && answer(left, bytes)) return;
      } catch (error) {
        failure = error;
      }
      leave(left, failure);
    });
  }

  return { pattern, handler: shortPost };
}

/** Whether the head asks for more than an answer from what is served now, or will be refused when its turn comes. */
function isUnusual(request: RawRequest, corsEnabled: boolean): boolean {
  const { headers } = request;
  const contentType = headers.get('content-type');
  return (
    request.ambiguous ||
    headers.has('x-flags-min-revision') ||
    headers.has('x-flags-at-revision') ||
    (corsEnabled && headers.has('origin')) ||
    declaredBytes(request) > limits.bodyBytesMax ||
    (contentType !== 'application/json' && checkMediaType(contentType ?? '', false) !== undefined)
  );
}

/** undefined: not one that this key may name, or named in two ways. */
function findEnvironment(
  snapshot: ServingSnapshot,
  key: ServingKey,
  header: string | undefined,
  inBody: unknown,
): ServingEnvironment | undefined {
  let name = header === '' ? undefined : header;
  if (inBody !== undefined) {
    if (typeof inBody !== 'string' || (name !== undefined && name !== inBody)) return undefined;
    name = inBody;
  }
  name ??= defaultEnvironment(key);
  if (name === undefined || (key.environments !== undefined && !key.environments.has(name))) return undefined;
  return snapshot.environments.get(name);
}
