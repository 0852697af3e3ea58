// The HTTP side of a worker: one transport, one route table, two ways through it. The evaluation of one flag by GET goes
// the short way, everything else the ordered one.
import { makeOpenApi } from '../api/openapi.ts';
import { routeLabels, routes } from '../api/routes.ts';
import { createAuth } from './auth.ts';
import { createEventStreams } from './event-streams.ts';
import type { KeyedHandlers, OpenHandlers } from './http/call.ts';
import { createCors } from './http/cors.ts';
import { createDeliver } from './http/deliver.ts';
import type { HttpDeps } from './http/deps.ts';
import { createFailureAnswer, createPipeline } from './http/pipeline.ts';
import { refuse } from './http/refusal.ts';
import { createRunCommand } from './routes/commands.ts';
import { createDocsHandlers } from './routes/docs.ts';
import { createEnvironmentHandlers, createKeyHandlers } from './routes/environments-keys.ts';
import { createEvaluateGet } from './routes/evaluate.ts';
import { createEvaluationHandlers } from './routes/evaluations.ts';
import { createFlagHandlers } from './routes/flags.ts';
import { createOfrepHandlers } from './routes/ofrep.ts';
import { createStreamHandler } from './routes/ofrep-stream.ts';
import { createReportHandlers } from './routes/reports.ts';
import { createSegmentHandlers } from './routes/segments.ts';
import { createServiceHandlers, type ServiceState } from './routes/service.ts';
import { createSockets } from './socket/connections.ts';
import { createDispatch } from './socket/dispatch.ts';
import type { Transport } from './transport/transport.ts';
import { createUwsTransport } from './transport/uws.ts';

/** A connection on which nothing came for this long while draining is an idle one. */
const DRAIN_QUIET_MS = 250;
/** Left of the deadline for the last close frames to go. */
const DRAIN_MARGIN_MS = 250;
const SOCKET_PATTERN = routes.find(({ operationId }) => operationId === 'openSocket')?.pattern ?? '';
const UPGRADE_HEADERS = [
  ['Upgrade', 'websocket'],
  ['Connection', 'Upgrade'],
  ['Sec-WebSocket-Version', '13'],
] as const;

export interface Http {
  /** Resolves with the port in use. Rejects when the binary is not the known one or the address cannot be had. */
  listen(): Promise<number>;
  /**
   * Unready at once; after `delayMs` takes no new connections and closes each with its next reply. Resolves when
   * nothing is in flight and no WebSocket is left, which takes `deadlineMs` at most. May be called twice.
   */
  drain(delayMs: number, deadlineMs: number): Promise<void>;
  /** Cuts every connection. May be called twice. */
  close(): void;
}

export function createHttp(deps: HttpDeps): Http {
  const state: ServiceState = { draining: false, transport: 'none' };
  const cors = createCors(deps.config.allowedOrigins);
  const auth = createAuth();
  const run = createRunCommand(deps.link);
  const streams = createEventStreams({ holder: deps.holder, now: Date.now, random: Math.random });
  const keyed: KeyedHandlers = {
    ...createEvaluationHandlers(deps.hash, deps.unknownFlags),
    ...createOfrepHandlers(deps.hash, deps.unknownFlags),
    ...createFlagHandlers(run),
    ...createSegmentHandlers(run),
    ...createEnvironmentHandlers(run),
    ...createKeyHandlers(run),
    ...createReportHandlers(deps.link),
  };
  const open: OpenHandlers = {
    ...createServiceHandlers(deps, state, JSON.stringify(makeOpenApi(deps.build.version))),
    ...createDocsHandlers(),
    ofrepStream: createStreamHandler(deps, streams, Date.now),
    // The transport has taken whatever asks for an upgrade.
    openSocket: () => refuse('UPGRADE_REQUIRED', undefined, UPGRADE_HEADERS),
  };
  const deliver = createDeliver(deps, cors);
  const pipeline = createPipeline({ http: deps, auth, cors, deliver, keyed, open });
  const sockets = createSockets({
    http: deps,
    auth,
    deliver,
    dispatch: createDispatch({ evaluations: undefined }),
    now: Date.now,
    random: Math.random,
    authMs: deps.socketAuthMs,
  });
  const routeIndex = routes.findIndex(({ operationId }) => operationId === 'evaluateFlag');
  const evaluateGet = createEvaluateGet({
    http: deps,
    auth,
    hash: deps.hash,
    pipeline,
    corsEnabled: cors.enabled,
    routeIndex,
    routeLabel: routeLabels[routeIndex] ?? '',
  });
  let transport: Transport | undefined;
  let drained: Promise<void> | undefined;

  return {
    listen: async () => {
      transport = await createUwsTransport({ onFailure: createFailureAnswer(deliver, deps.logger) });
      state.transport = transport.name;
      transport.route('GET', routes[routeIndex]?.pattern ?? '', evaluateGet);
      transport.socket(SOCKET_PATTERN, sockets.route);
      transport.fallback((exchange) => pipeline(exchange, undefined));
      return transport.listen(deps.config.host, deps.config.port);
    },
    drain: (delayMs, deadlineMs) => {
      state.draining = true;
      drained ??= delay(delayMs).then(() => {
        sockets.drain(Math.max(0, deadlineMs - delayMs - DRAIN_MARGIN_MS));
        return transport?.drain(DRAIN_QUIET_MS);
      });
      return drained;
    },
    close: () => {
      streams.close();
      sockets.close();
      transport?.close();
    },
  };
}

function delay(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
