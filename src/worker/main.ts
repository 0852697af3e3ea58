// Wires a worker: HTTP in front, one snapshot in memory, the local socket to the primary behind. It holds no database
// connection and no credentials, and serves on when everything behind it is gone.
import cluster from 'node:cluster';
import { routeLabels } from '../api/routes.ts';
import { buildInfo } from '../build-info.ts';
import { type Config, loadConfig } from '../config.ts';
import { IPC_PROTOCOL, type ToPrimary, type ToWorker } from '../ipc/messages.ts';
import type { BatchKernel } from '../kernel/batch-kernel.ts';
import { createBatchKernel } from '../kernel/create-batch-kernel.ts';
import { hashUser } from '../kernel/murmur3.ts';
import { limits } from '../limits.ts';
import { createAccessLog } from '../observe/access-log.ts';
import { createLogger } from '../observe/logger.ts';
import { delay, systemClock } from '../run/clock.ts';
import { EXIT_CONFIGURATION } from '../run/owned.ts';
import { holdWorkerPort } from '../run/port-owner.ts';
import { isAlive, ownIdentity } from '../run/process-identity.ts';
import { openRunDir, type RunDir, type WorkerPid } from '../run/run-dir.ts';
import { createReadBlob, type ReadBlob } from '../snapshot/blob-file.ts';
import { createHashBytes, createHashText } from '../snapshot/checksum.ts';
import { readTls, type Tls } from '../tls.ts';
import { startHeartbeat } from './heartbeat.ts';
import { createHolder } from './holder.ts';
import { createHttp, type Http } from './http.ts';
import { createLimiter, type Limiter } from './limiter.ts';
import { createPrimaryLink, type DialledLink, type Settled } from './primary-link.ts';
import type { PrimaryLink, SnapshotHolder } from './serving.ts';
import { createTallies, type Tallies } from './tallies.ts';
import { createUnknownFlags } from './unknown-flags.ts';
import { createUploads } from './uploads.ts';

/** A port that is given up is free at once. */
const LISTEN_AGAIN_MS = 20;

type Hello = Extract<ToPrimary, { type: 'hello' }>;

/**
 * How long a worker that stops with its service waits for kept connections on which nothing comes: who uses one asks
 * again within that time, and a service that stops has others to go to.
 */
const STOP_IDLE_MS = 1000;
/** An orphan cannot tell whether others go as well, so it waits as one that is replaced does. */
const ORPHAN_IDLE_MS = 5000;

/** Resolves when the worker listens. It ends by itself: drained, orphaned for too long, or by a bug. */
export async function runWorker(slot: number, generation: string): Promise<void> {
  outlivePrimary();
  const config = loadConfig(process.env);
  const logger = createLogger({ level: config.logLevel, name: `worker ${slot}` });
  endOnBug(logger);
  const runDir = openRunDir(config.dataDir);
  const { version, build } = buildInfo();
  const warn = (fields: object, message: string): void => logger.warn(fields, message);

  const link = createPrimaryLink({
    socketPath: () => runDir.socketPath(),
    hello: () => sayHello({ slot, build, generation, draining }, holder, limiter),
    receive,
    onConnected() {
      clearTimeout(orphanTimer);
      unknownFlags.retell();
      if (listening && !draining) link.send({ type: 'listening' });
    },
    onLost: awaitPrimary,
    onStale: () => tallies.count('burgee_worker_stale_primaries_total', 1),
    warn,
  });
  const holder = await holderOf(link, config.faultCompileMs, createReadBlob(runDir.blobs, hashUser), warn);
  const limiter = leasedLimiter(link, config.workers);
  link.onLease((lease) => limiter.receive(lease), limiter.setClock);
  const tallies = createTallies(routeLabels);
  const unknownFlags = createUnknownFlags({ now: Date.now, tallies });
  const heartbeat = startHeartbeat({ link, holder, limiter, tallies, unknownFlags });
  const http = createHttp({
    holder,
    link,
    limiter,
    uploads: createUploads({ folder: runDir.uploads, warn }),
    tallies,
    unknownFlags,
    logger,
    config,
    tls: useTls(config, tallies),
    build: { version, build },
    hash: hashUser,
    hashText: await createHashText(),
    kernel: batchKernel(warn, tallies),
    accessLog: createAccessLog(logger, config.accessLog),
    ownMetrics: () => renderOwnMetrics(tallies, holder),
    socketAuthMs: limits.socketAuthMsMax,
    onLongTurn: heartbeat.beatIfDue,
  });

  let listening = false;
  let draining = false;
  let orphanTimer: NodeJS.Timeout | undefined;

  /** An orphan for ORPHAN_TIMEOUT_MS drains; one whose primary died before it was reached is an orphan too. */
  function awaitPrimary(): void {
    if (config.orphanTimeoutMs === 0) return;
    const end = (): void => void drain('orphaned for ORPHAN_TIMEOUT_MS', config.shutdownTimeoutMs, 0, ORPHAN_IDLE_MS);
    orphanTimer = setTimeout(end, config.orphanTimeoutMs);
  }

  function receive(message: Exclude<ToWorker, Settled>): void {
    if (message.type === 'drain') {
      const { deadlineMs, delayMs, idleMs = STOP_IDLE_MS } = message;
      void drain('asked by the primary', deadlineMs, delayMs, idleMs);
    } else holder.receive(message);
  }

  /**
   * Answers what is in flight, then exits; at the deadline in any case, orphaned or not. Asked for again, by a service that
   * stops while this worker is replaced, the shorter times count.
   */
  async function drain(why: string, deadlineMs: number, delayMs: number, idleMs: number): Promise<void> {
    draining = true;
    logger.info({ why, deadline_ms: deadlineMs }, 'draining');
    setTimeout(() => process.exit(0), deadlineMs);
    await http.drain(delayMs, deadlineMs, idleMs);
    // What it holds of rate limits goes to the others.
    limiter.close();
    process.exit(0);
  }

  onSignal((signal) => {
    // While the primary stands, signals are the launcher's business: a terminal sends them to the whole group.
    if (!link.connected && !draining) void drain(signal, config.shutdownTimeoutMs, config.drainDelayMs, ORPHAN_IDLE_MS);
  });

  awaitPrimary();
  link.start();

  await holder.first;
  await holdWorkerPort(config.port, runDir.dataDir);
  await listen(http, logger, () => waitsForPort(http, link, runDir));
  listening = true;
  link.send({ type: 'listening' });
}

async function holderOf(
  link: PrimaryLink,
  faultCompileMs: number,
  readBlob: ReadBlob,
  warn: (fields: object, message: string) => void,
): Promise<ReturnType<typeof createHolder>> {
  return createHolder({
    hash: await createHashBytes(),
    send: link.send,
    now: () => performance.now(),
    warn,
    faultCompileMs,
    compile: { readBlob, hashUser },
  });
}

function leasedLimiter(link: PrimaryLink, workers: number): Limiter {
  return createLimiter({
    requestLease: (keyId, limit, tokens) => link.send({ type: 'lease_request', keyId, limit, tokens }),
    returnLease: (keyId, windowEndMs, tokens) => link.send({ type: 'lease_return', keyId, windowEndMs, tokens }),
    now: Date.now,
    workers,
    connected: () => link.connected,
  });
}

function batchKernel(warn: (fields: object, message: string) => void, tallies: Pick<Tallies, 'gauge'>): BatchKernel {
  const { kernel, warning } = createBatchKernel();
  if (warning !== undefined) warn({ kernel: kernel.name }, warning);
  tallies.gauge('burgee_worker_kernel_wasm', kernel.name === 'wasm' ? 1 : 0);
  return kernel;
}

/** Warnings are the primary's to tell, once for all workers. */
function useTls(config: Config, tallies: Pick<Tallies, 'gauge'>): Tls | undefined {
  const tls = readTls(config, Date.now());
  if (tls !== undefined) tallies.gauge('burgee_worker_tls_expiry_timestamp_seconds', tls.notAfterMs / 1000);
  return tls;
}

async function listen(http: Http, logger: ReturnType<typeof createLogger>, waits: () => boolean): Promise<void> {
  for (;;) {
    try {
      await http.listen();
      return;
    } catch (error) {
      if (!waits()) {
        // Another worker would fare the same: the primary tells the operator once, whatever the number of workers.
        logger.error({ err: error }, 'cannot listen');
        process.exit(EXIT_CONFIGURATION);
      }
    }
    await delay(systemClock, LISTEN_AGAIN_MS);
  }
}

/** The port cannot be shared, and is still that of the worker that this one is to replace: says that it may go now. */
function waitsForPort(http: Http, link: DialledLink, runDir: RunDir): boolean {
  const isOther = ({ identity }: WorkerPid): boolean => identity.pid !== process.pid && isAlive(identity);
  if (http.sharesPort || !runDir.workers().some(isOther)) return false;
  if (link.protocol >= 2) link.send({ type: 'prepared' });
  return true;
}

function sayHello(
  own: Pick<Hello, 'slot' | 'build' | 'generation' | 'draining'>,
  holder: SnapshotHolder,
  limiter: Limiter,
): Hello {
  return {
    type: 'hello',
    role: 'worker',
    pid: process.pid,
    startTime: ownIdentity().startTime,
    ...own,
    epoch: holder.current?.epoch ?? '',
    revision: holder.current?.revision ?? 0,
    leases: limiter.uses(),
    protocol: IPC_PROTOCOL,
  };
}

/** What /metrics shows while there is no primary to add up the workers. */
async function renderOwnMetrics(tallies: Tallies, holder: SnapshotHolder): Promise<string> {
  const { createNodeMetrics } = await import('../observe/metrics.ts');
  const own = createNodeMetrics();
  own.receive(String(process.pid), tallies.report());
  return own.text({
    revision: holder.current?.revision ?? 0,
    staleSeconds: holder.staleSeconds(),
    workers: 1,
    workersOld: 0,
    workerReplacements: 0,
    primaryTerm: 0,
    workerRestarts: 0,
    quarantinedFlags: 0,
    storeUp: 0,
    storeWentBack: 0,
  });
}

function outlivePrimary(): void {
  // node:cluster ends its workers with the primary unless they are said to be leaving anyway.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
}

function onSignal(drain: (signal: string) => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => drain(signal));
  // Its default would end the process.
  process.on('SIGHUP', () => {});
}

function endOnBug(logger: ReturnType<typeof createLogger>): void {
  const end = (error: unknown): void => {
    logger.fatal({ err: error }, 'worker ends on an error nobody caught');
    process.exit(1);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}
