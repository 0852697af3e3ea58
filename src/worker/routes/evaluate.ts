// Hot path.
// GET /api/v1/flags/{flag_id}/evaluate, from request to reply without a pause. It serves what can be served at once and
// hands everything else, as it stands, to the pipeline, which alone knows how and in what order to refuse.
import type { EvaluationContext, HashUser } from '../../core/compiled.ts';
import { evaluate } from '../../core/evaluate.ts';
import type { JsonObject } from '../../core/model.ts';
import { RANK } from '../../core/scopes.ts';
import { type Auth, rawKeyOf } from '../auth.ts';
import type { Clients } from '../http/client-address.ts';
import type { HttpDeps } from '../http/deps.ts';
import { defaultEnvironment } from '../http/environment.ts';
import type { Pipeline } from '../http/pipeline.ts';
import { QueryScan } from '../http/query-scan.ts';
import { readRequestId, readTraceparent } from '../http/request.ts';
import { shedsEvaluateGet } from '../http/shedding.ts';
import { ADMITTED } from '../limiter.ts';
import type { Overload } from '../overload.ts';
import type { ServingSnapshot } from '../serving.ts';
import { type Exchange, type Handler, type Head, makeHead } from '../transport/transport.ts';
import { isVisible } from './lookup.ts';
import { outcomeReply } from './outcome-reply.ts';

/** What the evaluation of one user reads; the one object serves all requests in turn. */
interface MutableContext extends EvaluationContext {
  userId: string;
  attributes: JsonObject | undefined;
}

export function createEvaluateGet(deps: {
  readonly http: Pick<HttpDeps, 'holder' | 'limiter' | 'tallies' | 'accessLog'>;
  readonly auth: Auth;
  readonly clients: Pick<Clients, 'ofExchange'>;
  readonly hash: HashUser;
  readonly pipeline: Pipeline;
  readonly overload: Overload;
  /** Answers a request that is too much. */
  readonly refuseOverloaded: (exchange: Exchange, routeIndex: number) => void;
  /** Whether pages of other origins may call: then a request from one takes the way that adds their headers. */
  readonly corsEnabled: boolean;
  /** Into the metrics' labels. */
  readonly routeIndex: number;
  readonly routeLabel: string;
}): Handler {
  const { holder, limiter, tallies, accessLog } = deps.http;
  const { auth, clients, hash, pipeline, overload, corsEnabled, routeIndex, routeLabel } = deps;
  const scan = new QueryScan();
  const context: MutableContext = { userId: '', attributes: undefined };
  let head: Head = headOf(0, 0, corsEnabled);
  let headSnapshot: ServingSnapshot | undefined;
  let headAtMs = Number.NaN;
  let headRevision = 0;
  let headStaleSeconds = 0;
  let tail = '0}';

  /** What a reply from this snapshot begins and ends with; made once a millisecond at most, for its age is in it. */
  function prepare(snapshot: ServingSnapshot, nowMs: number): void {
    headSnapshot = snapshot;
    headAtMs = nowMs;
    const staleSeconds = holder.staleSeconds();
    if (snapshot.revision === headRevision && staleSeconds === headStaleSeconds) return;
    headRevision = snapshot.revision;
    headStaleSeconds = staleSeconds;
    head = headOf(headRevision, staleSeconds, corsEnabled);
    tail = `${headRevision}}`;
  }

  return function evaluateGet(exchange: Exchange): void {
    const startedMs = performance.now();
    const snapshot = holder.current;
    overload.count();
    if (snapshot === undefined || isUnusual(exchange, corsEnabled)) return pipeline(exchange, undefined);
    if (overload.active && shedsEvaluateGet(overload, exchange.query()))
      return deps.refuseOverloaded(exchange, routeIndex);
    const nowMs = Date.now();
    const apiKey = exchange.header('x-api-key');
    const key = auth.find(apiKey === '' ? rawKeyOf('', exchange.header('authorization')) : apiKey, snapshot, nowMs);
    if (key === undefined) return pipeline(exchange, undefined);
    const verdict = limiter.tryTake(key, nowMs);
    if (verdict !== ADMITTED || key.rank < RANK.evaluate || !scan.read(exchange.query()))
      return pipeline(exchange, { key, verdict });

    const named = scan.environment === '' ? defaultEnvironment(key) : scan.environment;
    const environment = named === undefined ? undefined : snapshot.environments.get(named);
    if (environment === undefined) return pipeline(exchange, { key, verdict });
    if (key.environments !== undefined && !key.environments.has(environment.environment))
      return pipeline(exchange, { key, verdict });
    const flag = environment.flags.get(exchange.parameter(0));
    if (flag === undefined || (key.tags !== undefined && !isVisible(key, flag)))
      return pipeline(exchange, { key, verdict });

    context.userId = scan.userId;
    context.attributes = scan.attributes;
    const outcome = evaluate(flag, context, environment, hash);
    if (nowMs !== headAtMs || snapshot !== headSnapshot) prepare(snapshot, nowMs);
    if (accessLog.wants(200)) {
      const seconds = (performance.now() - startedMs) / 1000;
      accessLog.record({
        requestId: readRequestId(exchange.header('x-request-id')),
        method: 'GET',
        route: routeLabel,
        status: 200,
        seconds,
        keyId: key.keyId,
        client: clients.ofExchange(exchange),
        traceparent: readTraceparent(exchange.header('traceparent')),
      });
    }
    exchange.send('200 OK', head, outcomeReply(outcome, scan.userId, nowMs, tail));
    tallies.request(routeIndex, 200, (performance.now() - startedMs) / 1000);
  };
}

/** Whether the request asks for more than an answer from what is served now. */
function isUnusual(exchange: Exchange, corsEnabled: boolean): boolean {
  return (
    exchange.header('x-flags-min-revision') !== '' ||
    exchange.header('x-flags-at-revision') !== '' ||
    exchange.header('content-length') !== '' ||
    exchange.header('transfer-encoding') !== '' ||
    (corsEnabled && exchange.header('origin') !== '')
  );
}

function headOf(revision: number, staleSeconds: number, corsEnabled: boolean): Head {
  const lines: [name: string, value: string][] = [
    ['Content-Type', 'application/json'],
    ['X-Flags-Revision', String(revision)],
  ];
  if (staleSeconds > 0) lines.push(['X-Flags-Stale', String(staleSeconds)]);
  lines.push(['Cache-Control', 'no-store']);
  if (corsEnabled) lines.push(['Vary', 'Origin']);
  return makeHead(lines);
}
