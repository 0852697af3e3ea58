// The WebSocket side of a worker: the parts of its protocol, wired, behind one route.
import { routes } from '../api/routes.ts';
import type { Auth } from './auth.ts';
import type { Batches } from './batch/batches.ts';
import type { Plans } from './batch/plans.ts';
import type { Turns } from './batch/turns.ts';
import type { OpenHandler } from './http/call.ts';
import type { Clients } from './http/client-address.ts';
import type { Deliver } from './http/deliver.ts';
import type { HttpDeps } from './http/deps.ts';
import { refuse } from './http/refusal.ts';
import type { Overload } from './overload.ts';
import { createFindAsked } from './socket/asked-environment.ts';
import { createSockets, type SocketCounts } from './socket/connections.ts';
import { createDispatch } from './socket/dispatch.ts';
import { createEvaluations } from './socket/evaluate.ts';
import { createHandles } from './socket/handles.ts';
import { createPushes } from './socket/pushes.ts';
import type { WorkerCounts } from './socket/stats.ts';
import type { SocketRoute } from './transport/socket.ts';

export interface SocketSide {
  readonly pattern: string;
  readonly route: SocketRoute;
  /** Takes no new sockets, says goodbye to each, and closes each at a time of its own: all within `msMax`. */
  drain(msMax: number): void;
  /** Ends the timers. May be called twice. */
  close(): void;
}

export function createSocketSide(deps: {
  readonly http: HttpDeps;
  readonly auth: Auth;
  readonly deliver: Deliver;
  readonly batches: Batches;
  readonly plans: Plans;
  readonly turns: Turns;
  readonly overload: Overload;
  readonly clients: Pick<Clients, 'ofExchange'>;
}): SocketSide {
  const { http, auth, deliver, batches, plans, turns } = deps;
  const { holder, hash, unknownFlags } = http;
  const counts: SocketCounts = { messages: 0, sockets: 0 };
  const findAsked = createFindAsked(holder);
  const clock = (): number => performance.now();
  const shared = { holder, findAsked, plans, batches, turns, unknownFlags };
  const pushes = createPushes({ ...shared, hash, clock, counts: () => workerCounts(http, batches, counts) });
  const dispatch = createDispatch({ evaluations: createEvaluations(shared), handles: createHandles(shared), pushes });
  const sockets = createSockets({
    http,
    auth,
    deliver,
    dispatch,
    overload: deps.overload,
    clients: deps.clients,
    counts,
    now: Date.now,
    random: Math.random,
    authMs: http.socketAuthMs,
  });
  return {
    pattern: routes.find(({ operationId }) => operationId === 'openSocket')?.pattern ?? '',
    route: sockets.route,
    drain: sockets.drain,
    close() {
      pushes.close();
      sockets.close();
    },
  };
}

const EVALUATE_ONE: ReadonlySet<string> = new Set(['evaluateFlag', 'evaluateFlagWithBody', 'ofrepEvaluateFlag']);

function workerCounts(
  { tallies }: Pick<HttpDeps, 'tallies'>,
  batches: Pick<Batches, 'evaluationCount'>,
  { messages, sockets }: SocketCounts,
): WorkerCounts {
  let requests = 0;
  let evaluations = batches.evaluationCount;
  for (const [index, { operationId }] of routes.entries()) {
    requests += tallies.answered(index, false);
    if (EVALUATE_ONE.has(operationId)) evaluations += tallies.answered(index, true);
  }
  return { requests, messages, evaluations, sockets };
}

/** What asks for a WebSocket the transport has taken already; this is for the rest. */
export const askForUpgrade: OpenHandler = () =>
  refuse('UPGRADE_REQUIRED', undefined, [
    ['Upgrade', 'websocket'],
    ['Connection', 'Upgrade'],
    ['Sec-WebSocket-Version', '13'],
  ]);
