// The one order in which a request can be refused (contract, section 2): 404 route, 405, 401, 429, 403 scope or
// environment in the query, 413, 415, 400, 403 environment in the body, 409 for min_revision; then the route itself.
// The hot path takes its own way through this and comes here with whatever it would not serve at once.

import { NO_ROUTE, type Route, routes } from '../../api/routes.ts';
import { findIssues } from '../../api/validate.ts';
import { RANK } from '../../core/scopes.ts';
import { limits } from '../../limits.ts';
import { type Auth, rawKeyOf } from '../auth.ts';
import { revisionOf } from '../change-tag.ts';
import { ADMITTED, SPENT, WAIT } from '../limiter.ts';
import type { Overload } from '../overload.ts';
import type { ServingKey, ServingSnapshot, SnapshotHolder } from '../serving.ts';
import type { Exchange, HeldExchange } from '../transport/transport.ts';
import type { Uploads } from '../uploads.ts';
import { checkMediaType, readEvaluationJson, readJson } from './body.ts';
import type {
  Answer,
  Call,
  KeyedHandler,
  KeyedHandlers,
  KeyedOperationId,
  OpenHandlers,
  OpenOperationId,
} from './call.ts';
import { readIdempotency, readIfMatch, readMinRevision } from './conditions.ts';
import type { Cors } from './cors.ts';
import type { Deliver, Delivery, Outlet } from './deliver.ts';
import type { HttpDeps } from './deps.ts';
import { checkBound, namedEnvironments, readBodyEnvironment, resolveEnvironment } from './environment.ts';
import { withOfrepCode } from './ofrep-failure.ts';
import { ofrepPath } from './ofrep-path.ts';
import { decodePart, type Query, readQuery } from './query.ts';
import { invalid, isRefusal, type Refusal, refuse, refuseIssues } from './refusal.ts';
import { emptyReply, isStreamed, type StreamedReply } from './reply.ts';
import { copyRequest, declaredBytes, type RawRequest } from './request.ts';
import { findRoute, type Match } from './router.ts';
import { overloaded, shedsRequest } from './shedding.ts';
import { checkUpload, takeUpload } from './upload-body.ts';

/** Evaluations: their bodies are checked by hand, and their replies do not show the limit. */
const HAND_READ: ReadonlySet<Route['group']> = new Set(['evaluation', 'ofrep']);
const NAMED_IN_BODY: ReadonlySet<Route['environment']> = new Set(['body', 'header']);
const NO_BYTES = new Uint8Array(0);
const NO_REVISIONS = { min: '', minHeader: '', at: '', atHeader: '' };

/** What a hot path has already done for a request that it hands over: no request counts twice. */
export interface Taken {
  readonly key: ServingKey;
  /** What the limiter's tryTake said. */
  readonly verdict: number;
}

export type Pipeline = (exchange: Exchange, taken: Taken | undefined) => void;

/** A request whose body a hot path has looked at, and left where it was. */
export interface Left {
  readonly request: RawRequest;
  /** Of a route without parameters, in the table. */
  readonly routeIndex: number;
  /** Found in `snapshot` and admitted by the limiter. */
  readonly key: ServingKey;
  readonly snapshot: ServingSnapshot;
  readonly held: HeldExchange;
}

/** `error`: what a hot path threw, answered with 500; undefined: the pipeline goes on with the request from its body on. */
export type Leave = (left: Left, error: unknown) => void;

/** Answers 500 for a handler that threw; `exchange` as long as it is open. */
export function createFailureAnswer(
  deliver: Deliver,
  logger: HttpDeps['logger'],
): (error: unknown, exchange: Exchange | undefined) => void {
  return (error, exchange) => {
    const request = exchange === undefined ? undefined : copyRequest(exchange, performance.now());
    logger.error({ err: error, requestId: request?.requestId, path: request?.path }, 'a handler failed');
    if (exchange === undefined || request === undefined) return;
    deliver.whole(exchange, { request, routeIndex: NO_ROUTE, key: undefined, showsLimit: false }, refuse('INTERNAL'));
  };
}

export function createPipeline(deps: {
  readonly http: Pick<HttpDeps, 'holder' | 'limiter' | 'uploads' | 'logger'>;
  readonly auth: Auth;
  readonly cors: Cors;
  readonly deliver: Deliver;
  readonly keyed: KeyedHandlers;
  readonly open: OpenHandlers;
  readonly overload: Overload;
}): {
  readonly pipeline: Pipeline;
  readonly leave: Leave;
} {
  const { holder, limiter, uploads, logger } = deps.http;
  const { overload } = deps;
  const waiters = { count: 0 };

  function keyOf(request: RawRequest, snapshot: ServingSnapshot): ServingKey | undefined {
    const rawKey = rawKeyOf(request.headers.get('x-api-key') ?? '', request.headers.get('authorization') ?? '');
    return deps.auth.find(rawKey, snapshot, Date.now());
  }

  function fail(delivery: Delivery, held: HeldExchange, error: unknown): void {
    logger.error({ err: error, requestId: delivery.request.requestId }, 'a request failed');
    deps.deliver.whole(held, delivery, refuse('INTERNAL'));
  }

  /** Answers when the promise is there. */
  function answerLater(delivery: Delivery, held: HeldExchange, work: Promise<Answer | StreamedReply>): void {
    work
      .then(
        (answer) => {
          if (isRefusal(answer) || !isStreamed(answer)) return deliverTo(held, delivery, answer);
          return deps.deliver.streamed(held, delivery, answer);
        },
        (error: unknown) => fail(delivery, held, error),
      )
      .catch((error: unknown) =>
        logger.error({ err: error, requestId: delivery.request.requestId }, 'a reply could not be written'),
      );
  }

  function deliverTo(outlet: Outlet, delivery: Delivery, answer: Answer): void {
    if (isRefusal(answer) && declaredBytes(delivery.request) > limits.bodyBytesDrainedMax) outlet.closeAfterReply();
    deps.deliver.whole(outlet, delivery, answer);
  }

  function pipeline(exchange: Exchange, taken: Taken | undefined): void {
    const request = copyRequest(exchange, performance.now());
    const delivery = { request, routeIndex: NO_ROUTE, key: undefined, showsLimit: false };
    if (request.ambiguous) {
      // Held for a turn: what follows in the same packet may be this request's body as another server reads it. The
      // library serves it after a reply that is already written, and cuts the connection while one is open.
      const held = exchange.hold(0);
      held.closeAfterReply();
      const told = invalid('Content-Length', 'the length of the body must be told once, in one way');
      setImmediate(() => deps.deliver.whole(held, delivery, told));
      return undefined;
    }
    const { match, allow } = findRoute(request.method, ofrepPath(request.path) ?? request.path);
    if (match === undefined) return deliverTo(exchange, delivery, offRoute(request, allow, deps.cors));
    const { route, index } = match;
    overload.count();
    if (overload.active && taken === undefined && shedsRequest(overload, index, request))
      return deliverTo(exchange, { ...delivery, routeIndex: index }, overloaded());
    const snapshot = holder.current;
    if (route.scope === undefined) {
      const key = snapshot === undefined ? undefined : keyOf(request, snapshot);
      const handler = deps.open[route.operationId as OpenOperationId];
      const answering = async (): Promise<Answer | StreamedReply> => handler({ request, parameters: match.raw, key });
      return answerLater({ ...delivery, routeIndex: index }, exchange.hold(0), answering());
    }
    if (snapshot === undefined)
      return deliverTo(
        exchange,
        { ...delivery, routeIndex: index },
        refuse('NOT_READY', undefined, [['Retry-After', '1']]),
      );
    const key = taken?.key ?? keyOf(request, snapshot);
    if (key === undefined) {
      return deliverTo(exchange, { ...delivery, routeIndex: index }, unauthorized());
    }
    const verdict = taken?.verdict ?? limiter.tryTake(key, Date.now());
    if (verdict === SPENT)
      return deliverTo(exchange, { request, routeIndex: index, key, showsLimit: true }, refuse('RATE_LIMITED'));
    return admit({ request, match, key, snapshot, held: holdFor(route, exchange) }, verdict);
  }

  /** Answers a request whose key is known, once the limit lets it through. */
  function admit(admitted: Admitted, verdict: number): void {
    const { request, match, key, snapshot, held } = admitted;
    const { route } = match;
    const answering = async (): Promise<Answer | StreamedReply> => {
      if (verdict === WAIT && !(await limiter.waitTake(key))) return refuse('RATE_LIMITED');
      const call = await readCall(request, match, key, held, snapshot, uploads);
      if (isRefusal(call)) return isLive(key, holder) ? call : unauthorized();
      try {
        // The body may have come long after the key was checked: one revoked or expired meanwhile must not act any more.
        if (!isLive(key, holder)) return unauthorized();
        return await answer(call, deps.keyed[route.operationId as KeyedOperationId], holder, waiters);
      } finally {
        await call.upload?.remove();
      }
    };
    const delivery = { request, routeIndex: match.index, key, showsLimit: !HAND_READ.has(route.group) };
    return answerLater(delivery, held, answering());
  }

  return {
    pipeline,
    leave: (left, error) => {
      const { request, routeIndex, key, held } = left;
      if (error !== undefined) return fail({ request, routeIndex, key, showsLimit: false }, held, error);
      return admit({ ...left, match: { route: routes[routeIndex] as Route, index: routeIndex, raw: [] } }, ADMITTED);
    },
  };
}

type Admitted = Omit<Left, 'routeIndex'> & { readonly match: Match };

function holdFor(route: Route, exchange: Exchange): HeldExchange {
  if (route.upload) return exchange.hold(limits.uploadBytesMax, limits.uploadUnreadBytesMax);
  return exchange.hold(route.body === undefined ? 0 : limits.bodyBytesMax);
}

function unauthorized(): Refusal {
  return refuse('UNAUTHORIZED', undefined, [['WWW-Authenticate', 'Bearer realm="burgee"']]);
}

/** Whether a key found earlier is still one: not revoked in the snapshot served now, and not expired. */
function isLive(key: ServingKey, holder: SnapshotHolder): boolean {
  return Date.now() < key.expiresAtMs && holder.current?.keysByHash.has(key.keyHash) === true;
}

/** OPTIONS, 404 or 405. */
function offRoute(request: RawRequest, allow: readonly string[], cors: Cors): Answer {
  if (allow.length === 0)
    return refuse('ROUTE_NOT_FOUND', `There is no ${request.path.slice(0, 256)} here; see /docs.`);
  const allowed = allow.join(', ');
  if (request.method !== 'OPTIONS')
    return refuse('METHOD_NOT_ALLOWED', `This route has ${allowed}.`, [['Allow', allowed]]);
  const preflight = cors.preflight({
    origin: request.headers.get('origin') ?? '',
    method: request.headers.get('access-control-request-method') ?? '',
    headers: request.headers.get('access-control-request-headers') ?? '',
    allow: allowed,
  });
  return emptyReply(204, [['Allow', allowed], ...(preflight ?? [])]);
}

/** From 403 scope to 403 environment in the body. */
async function readCall(
  request: RawRequest,
  match: Match,
  key: ServingKey,
  held: HeldExchange,
  snapshot: ServingSnapshot,
  uploads: Uploads,
): Promise<Call | Refusal> {
  const { route } = match;
  if (route.scope !== undefined && key.rank < RANK[route.scope]) {
    return refuse(
      'SCOPE_REQUIRED',
      `This route needs the scope ${route.scope}; this key has ${key.scopes.join(', ')}.`,
    );
  }
  const query = readQuery(request.query, route);
  for (const { name, scope } of route.query) {
    if (scope !== undefined && query.values.get(name) === 'true' && key.rank < RANK[scope])
      return refuse('SCOPE_REQUIRED', `${name} needs the scope ${scope}; this key has ${key.scopes.join(', ')}.`);
  }
  const named = namedEnvironments(route, query, request);
  for (const environment of named) {
    if (route.environment === 'each' && environment === '*') continue;
    const refusal = checkBound(key, environment);
    if (refusal !== undefined) return refusal;
  }
  const bytes = await readBytes(request, route, held);
  if (isRefusal(bytes)) return bytes;
  const parameters = match.raw.map(decodePart);
  if (parameters.includes(undefined))
    return withOfrepCode(invalid('', 'the path is not percent-encoded UTF-8'), 'PARSE_ERROR');
  const conditions = readConditions(request, route, query, bytes, snapshot);
  if (isRefusal(conditions)) return conditions;
  if (query.issues.length > 0) return refuseIssues(query.issues);
  const body = readBody(route, bytes);
  if (isRefusal(body)) return body;
  const environment = readEnvironment(route, key, named, body.value);
  if (isRefusal(environment)) return environment;
  const taken = route.upload
    ? await takeUpload(held, uploads, conditions.idempotency)
    : { upload: undefined, idempotency: conditions.idempotency };
  if (isRefusal(taken)) return taken;
  return {
    request,
    route,
    key,
    parameters: parameters as string[],
    query,
    body: body.value,
    bodyBytes: bytes.byteLength,
    hasGone: () => held.aborted,
    ...environment,
    ...conditions,
    ...taken,
  };
}

/** 413 and 415. A file is not read yet: no more than its size and type are known before the rest is checked. */
async function readBytes(request: RawRequest, route: Route, held: HeldExchange): Promise<Uint8Array | Refusal> {
  if (route.upload) return checkUpload(request) ?? NO_BYTES;
  if (route.body === undefined) return NO_BYTES;
  const tooLarge = refuse('BODY_TOO_LARGE', `The request body is over ${limits.bodyBytesMax} bytes.`, [
    ['Connection', 'close'],
  ]);
  if (declaredBytes(request) > limits.bodyBytesMax) return tooLarge;
  const bytes = await held.body();
  if (bytes === undefined) return tooLarge;
  if (bytes.byteLength === 0 && route.body.optional) return bytes;
  return checkMediaType(request.headers.get('content-type') ?? '', route.body.mergePatch) ?? bytes;
}

function readBody(route: Route, bytes: Uint8Array): { readonly value: unknown } | Refusal {
  if (route.body === undefined) return { value: undefined };
  if (bytes.byteLength === 0 && route.body.optional) return { value: {} };
  const { attributes } = route.body;
  const body = attributes === undefined ? readJson(bytes) : readEvaluationJson(bytes, attributes);
  if (isRefusal(body) || HAND_READ.has(route.group)) return body;
  const issues = findIssues(route.body.schema, body.value);
  return issues.length > 0 ? refuseIssues(issues) : body;
}

function readConditions(
  request: RawRequest,
  route: Route,
  query: Query,
  body: Uint8Array,
  snapshot: ServingSnapshot,
): Pick<Call, 'minRevision' | 'ifMatch' | 'idempotency'> | Refusal {
  const header = (name: string): string => request.headers.get(name) ?? '';
  const revision = readMinRevision(
    route.snapshot
      ? {
          min: query.values.get('min_revision') ?? '',
          minHeader: header('x-flags-min-revision'),
          at: query.values.get('at_revision') ?? '',
          atHeader: header('x-flags-at-revision'),
        }
      : NO_REVISIONS,
    snapshot.revision,
  );
  if (isRefusal(revision)) return revision;
  const minRevision = revision.minRevision ?? revisionOf(query.values.get('flagConfigEtag') ?? '', snapshot);
  const ifMatch = readIfMatch(route.ifMatch ? header('if-match') : '');
  if (isRefusal(ifMatch)) return ifMatch;
  const idempotency = readIdempotency(route.write ? request.headers.get('idempotency-key') : undefined, request, body);
  if (isRefusal(idempotency)) return idempotency;
  return { minRevision, ifMatch: ifMatch.versions, ...idempotency };
}

function readEnvironment(
  route: Route,
  key: ServingKey,
  [named, other]: readonly string[],
  body: unknown,
): { readonly environment: string } | Refusal {
  if (route.environment === 'none') return { environment: '' };
  if (other !== undefined && other !== named)
    return invalid('X-Flags-Environment', 'differs from the environment in the query');
  const fromBody = readBodyEnvironment(NAMED_IN_BODY.has(route.environment) ? body : undefined, named);
  if (isRefusal(fromBody)) return fromBody;
  return resolveEnvironment(key, named ?? fromBody.named);
}

/** The environment in a body, the route's own checks, the wait for `min_revision`, and the answer. */
async function answer(
  call: Call,
  handler: KeyedHandler,
  holder: SnapshotHolder,
  waiters: { count: number },
): Promise<Answer | StreamedReply> {
  const responder = handler(call);
  if (isRefusal(responder)) return responder;
  if (NAMED_IN_BODY.has(call.route.environment)) {
    const refusal = checkBound(call.key, call.environment);
    if (refusal !== undefined) return refusal;
  }
  const reached = call.minRevision === undefined || (await reach(call.minRevision, holder, waiters));
  const snapshot = holder.current;
  if (!reached || snapshot === undefined) {
    return refuse(
      'REVISION_NOT_REACHED',
      `Revision ${call.minRevision} has not arrived here; this is ${snapshot?.revision}.`,
      [['Retry-After', '1']],
    );
  }
  // The wait may have been for the very revision that revokes the key.
  if (call.minRevision !== undefined && !isLive(call.key, holder)) return unauthorized();
  const answered = await responder(snapshot);
  return isRefusal(answered) || answered.revision !== undefined
    ? answered
    : { ...answered, revision: snapshot.revision };
}

async function reach(revision: number, holder: SnapshotHolder, waiters: { count: number }): Promise<boolean> {
  if ((holder.current?.revision ?? 0) >= revision) return true;
  if (waiters.count >= limits.minRevisionWaitersMax) return false;
  waiters.count += 1;
  try {
    return await holder.waitFor(revision, limits.minRevisionWaitMsMax);
  } finally {
    waiters.count -= 1;
  }
}
