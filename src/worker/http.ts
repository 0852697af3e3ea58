// The HTTP side of a worker: one transport, one route table, two ways through it. The evaluation of one flag by GET goes
// the short way, everything else the ordered one.
import { makeOpenApi } from '../api/openapi.ts';
import { routeLabels, routes } from '../api/routes.ts';
import { createAuth } from './auth.ts';
import { createBatches } from './batch/batches.ts';
import { createPlans } from './batch/plans.ts';
import { createTurns } from './batch/turns.ts';
import { type ConnectionGate, createConnectionGate } from './connection-gate.ts';
import { createEventStreams } from './event-streams.ts';
import type { KeyedHandlers, OpenHandlers } from './http/call.ts';
import { type Clients, createClients } from './http/client-address.ts';
import { createCors } from './http/cors.ts';
import { createDeliver } from './http/deliver.ts';
import type { HttpDeps } from './http/deps.ts';
import { createFailureAnswer, createPipeline } from './http/pipeline.ts';
import { createPreparedHead } from './http/prepared-head.ts';
import { createRefuseOverloaded } from './http/shedding.ts';
import { createShortPost, createShortReplies } from './http/short-post.ts';
import { countByAddress, openFilesMax } from './open-files.ts';
import { createOverload } from './overload.ts';
import { createRunCommand } from './routes/commands.ts';
import { createDocsHandlers } from './routes/docs.ts';
import { createEnvironmentHandlers, createKeyHandlers } from './routes/environments-keys.ts';
import { createEvaluateGet } from './routes/evaluate.ts';
import { createEvaluationHandlers } from './routes/evaluations.ts';
import { createFlagHandlers } from './routes/flags.ts';
import { createOfrepHandlers } from './routes/ofrep.ts';
import { createBulk } from './routes/ofrep-bulk.ts';
import { createStreamHandler } from './routes/ofrep-stream.ts';
import { createReportHandlers } from './routes/reports.ts';
import { createSegmentHandlers } from './routes/segments.ts';
import { createServiceHandlers, type ServiceState } from './routes/service.ts';
import { createBatchResponder } from './routes/short-batch.ts';
import { askForUpgrade, createSocketSide } from './sockets.ts';
import { createTransport } from './transport/create-transport.ts';
import type { Transport } from './transport/transport.ts';

/** Left of the deadline for the process to end by itself. */
const EXIT_MARGIN_MS = 50;
/** Left of that for the last close frames to go. */
const CLOSE_FRAMES_MS = 200;

/** How often the metrics of connections are set: as often as they are told. */
const STANDING_MS = 250;

export interface Http {
  /**
   * Resolves with the port in use. Rejects when the binary is not the known one or the address cannot be had; it may then be
   * called again.
   */
  listen(): Promise<number>;
  /** False once it was found, while listening, that another process on the port keeps it. */
  readonly sharesPort: boolean;
  /**
   * Unready at once, and else as ever for `delayMs`: until load balancers have seen it, who is told to come back on
   * another connection comes back to this worker. Then takes no new connections and closes each with its next reply.
   * Resolves when all are closed: nothing is in flight, no WebSocket is left, and no request has come for `idleMs`;
   * after `deadlineMs`, which includes the delay, in any case. May be called again: the shorter times count.
   */
  drain(delayMs: number, deadlineMs: number, idleMs: number): Promise<void>;
  /** Cuts every connection. May be called twice. */
  close(): void;
}

export function createHttp(deps: HttpDeps): Http {
  const state: ServiceState = { draining: false, transport: 'none' };
  const cors = createCors(deps.config.allowedOrigins);
  const auth = createAuth();
  const run = createRunCommand(deps.link);
  const streams = createEventStreams({ holder: deps.holder, now: Date.now, random: Math.random });
  const onFailure = (err: unknown): void => deps.logger.error({ err }, 'a batch failed');
  const turns = createTurns({ now, onFailure });
  const overload =
    deps.overload ??
    createOverload({ now, cpuMs, backlog: () => turns, tallies: deps.tallies, onLook: deps.onLongTurn });
  const plans = createPlans();
  const batches = createBatches({ kernel: deps.kernel, hash: deps.hash, now });
  const batching = { unknownFlags: deps.unknownFlags, plans, batches, turns };
  const bulk = createBulk({ ...batching, hashText: deps.hashText });
  const keyed: KeyedHandlers = {
    ...createEvaluationHandlers({ hash: deps.hash, ...batching }),
    ...createOfrepHandlers(deps.hash, deps.unknownFlags),
    ofrepEvaluateFlags: bulk.handler,
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
    openSocket: askForUpgrade,
  };
  const clients = createClients(deps.config.trustProxy);
  const deliver = createDeliver(deps, cors, clients);
  const { pipeline, leave } = createPipeline({ http: deps, auth, cors, deliver, keyed, open, overload });
  const replies = createShortReplies(deliver, createPreparedHead(deps.holder, cors.enabled));
  const shortly = { http: deps, auth, pipeline, leave, overload, corsEnabled: cors.enabled };
  const shortPosts = [
    createShortPost(shortly, 'ofrepEvaluateFlags', bulk.responder(replies)),
    createShortPost(shortly, 'evaluateBatch', createBatchResponder(batching, replies)),
  ];
  const sockets = createSocketSide({ http: deps, auth, deliver, batches, plans, turns, overload, clients });
  const routeIndex = routes.findIndex(({ operationId }) => operationId === 'evaluateFlag');
  const evaluateGet = createEvaluateGet({
    http: deps,
    auth,
    clients,
    hash: deps.hash,
    pipeline,
    overload,
    refuseOverloaded: createRefuseOverloaded(deliver),
    corsEnabled: cors.enabled,
    routeIndex,
    routeLabel: routeLabels[routeIndex] ?? '',
  });
  const gate = createGate(deps, clients, () => listenPort);
  let listenPort = deps.config.port;
  let transport: Transport | undefined;
  let standing: NodeJS.Timeout | undefined;
  /** It takes no new connections any more. */
  let hasLeft = false;

  async function makeTransport(): Promise<Transport> {
    const made = await createTransport(deps.config.transport, {
      onFailure: createFailureAnswer(deliver, deps.logger),
      tls: deps.tls,
      admits: gate.admits,
      crowdedCount: gate.crowdedCount,
    });
    state.transport = made.name;
    deps.tallies.gauge('burgee_worker_transport_uws', made.name === 'uws' ? 1 : 0);
    made.route('GET', routes[routeIndex]?.pattern ?? '', evaluateGet);
    for (const { pattern, handler } of shortPosts) made.route('POST', pattern, handler);
    made.socket(sockets.pattern, sockets.route);
    made.fallback((exchange) => pipeline(exchange, undefined));
    return made;
  }

  return {
    get sharesPort() {
      return transport?.sharesPort ?? true;
    },
    listen: async () => {
      transport ??= await makeTransport();
      listenPort = await transport.listen(deps.config.host, deps.config.port);
      gate.start();
      standing = reportStanding(transport, deps.tallies);
      overload.start();
      return listenPort;
    },
    drain: async (delayMs, deadlineMs, idleMs) => {
      const waitMs = hasLeft ? 0 : delayMs;
      state.draining = true;
      await delay(waitMs);
      hasLeft = true;
      const msMax = Math.max(0, deadlineMs - waitMs - EXIT_MARGIN_MS);
      sockets.drain(Math.max(0, msMax - CLOSE_FRAMES_MS));
      await transport?.drain(idleMs, msMax);
    },
    close: () => {
      gate.close();
      clearInterval(standing);
      overload.close();
      streams.close();
      sockets.close();
      transport?.close();
    },
  };
}

function createGate(
  deps: Pick<HttpDeps, 'config' | 'tallies'>,
  clients: Pick<Clients, 'isTrustedProxy'>,
  port: () => number,
): ConnectionGate {
  return createConnectionGate({
    perAddress: deps.config.connectionsPerAddress,
    workers: deps.config.workers,
    filesMax: openFilesMax(),
    isExempt: clients.isTrustedProxy,
    countByAddress: () => countByAddress(port()),
    tallies: deps.tallies,
  });
}

/** What the transport holds, as metrics; until the timer is cleared. */
function reportStanding({ standing }: Transport, tallies: HttpDeps['tallies']): NodeJS.Timeout {
  let cutBefore = 0;
  return setInterval(() => {
    tallies.gauge('burgee_worker_connections', standing.connections);
    tallies.gauge('burgee_worker_unread_reply_bytes', standing.unreadBytes);
    tallies.gauge('burgee_worker_body_bytes', standing.bodyBytes);
    tallies.count('burgee_slow_readers_cut_total', standing.slowCut - cutBefore);
    cutBefore = standing.slowCut;
  }, STANDING_MS).unref();
}

function delay(ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function now(): number {
  return performance.now();
}
