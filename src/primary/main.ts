// Wires the primary: owns DATA_DIR, port and store, keeps the workers alive and their snapshot the newest.
import { buildInfo } from '../build-info.ts';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { createLauncherChannel } from '../launcher/channel.ts';
import { limits } from '../limits.ts';
import { createLogger, type Logger } from '../observe/logger.ts';
import { createNodeMetrics } from '../observe/metrics.ts';
import { type AwakeTime, createAwakeTime, systemClock } from '../run/clock.ts';
import { takeDataDir } from '../run/data-dir-name.ts';
import { EXIT_CONFIGURATION } from '../run/owned.ts';
import { holdPrimaryPort } from '../run/port-owner.ts';
import { isAlive, type ProcessIdentity } from '../run/process-identity.ts';
import { openRunDir, type RunDir } from '../run/run-dir.ts';
import { findServerLibrary, type ServerLibrary } from '../run/server-library.ts';
import { type Term, takeTerm } from '../run/term.ts';
import { createHashBytes } from '../snapshot/checksum.ts';
import type { RedisConnection } from '../storage/redis/connection.ts';
import { createStore } from '../storage/sql-store.ts';
import type { Store } from '../storage/store.ts';
import { readTls } from '../tls.ts';
import { type Commands, createCommands } from './commands.ts';
import { createDispatch, workerIdOf } from './dispatch.ts';
import { createEnding } from './ending.ts';
import { createWorkerFork } from './fork-worker.ts';
import { greet, localUrl } from './greeting.ts';
import type { MetricsServer } from './metrics-server.ts';
import { createNodeFiles, type NodeFiles } from './node-files.ts';
import { type NodeLimits, openNodeLimits } from './node-limits.ts';
import { openNodeRedis } from './node-redis.ts';
import { createNodeSync, type NodeSync } from './node-sync.ts';
import { type OpenedStore, openStore } from './open-store.ts';
import { createPublisher, type Publisher } from './publisher.ts';
import type { Supervisor, SupervisorDeps } from './supervision.ts';
import { createSupervisor } from './supervisor.ts';
import { createNodeUnknownFlags } from './unknown-flags.ts';
import { createVitals } from './vitals.ts';
import { createWorkerLinks, type WorkerLinks } from './worker-links.ts';

const LATENESS_CHECK_MS = 100;
/** Files that nobody needs go within this after their time. */
const SWEEP_MS = 30_000;
const BEING_REPLACED = 'The primary process is being replaced; nothing was written. Try again shortly.';
/** The server library reads it before anything of ours runs. */
const WORKER_ENV = { UWS_HTTP_MAX_HEADERS_SIZE: String(limits.headerBytesMax) };

/**
 * Resolves when the workers are being started. The process ends by itself: drained, told to leave, without its launcher, or
 * by a bug.
 * @param generation BURGEE_GENERATION: workers of another one are replaced
 */
export async function runPrimary(generation: string): Promise<void> {
  const asked = loadConfig(process.env);
  const finding = findServerLibrary(asked.transport);
  const secrets = [asked.bootstrapAdminKey, asked.databaseUrl, asked.redisUrl].filter((secret) => secret !== undefined);
  const logger = createLogger({ level: asked.logLevel, name: 'primary', secrets });
  const end = endsWith(logger);
  tellOfTls(asked, logger);
  process.on('uncaughtException', (error) => end('the primary ends on an error nobody caught', error));
  process.on('unhandledRejection', (error) => end('the primary ends on a rejection nobody caught', error));

  const ending = createEnding();
  const channel = createLauncherChannel({
    onDrain: ending.drain,
    onLeave: ending.leave,
    // Workers serve on, and the next launcher's primary adopts them.
    onLost: () => end('the launcher is gone', undefined),
  });

  const runDir = openRunDir(asked.dataDir);
  const lock = await takeDataDir(runDir, {
    onLost: () => end('another process took DATA_DIR', undefined),
    onWait: say,
  });
  const fence = (): void => {
    if (!lock.stillHeld()) end('another process took DATA_DIR', undefined);
  };
  const own: Own = { generation, term: takeTerm(runDir, { wallClock: Date.now, fence }), fence };
  const port = await holdPrimaryPort(asked.port, runDir.dataDir);
  runDir.writePid('primary');
  const opened = await openStore(asked, runDir.dataDir, {
    progress: say,
    closed: (reason) => end('the embedded database ended', reason),
    warn: (fields, message) => logger.warn(fields, message),
  });
  const config = servedBy(await finding, asked, logger);
  let ready = false;
  const node = await startNode(config, own, logger, opened, runDir, { onServing: announce, onUnusable });

  function announce(): void {
    if (ready || ending.asked()) return;
    ready = true;
    const url = localUrl(config);
    process.stderr.write(greet({ url, workers: config.workers, ...opened.greetingKey() }));
    channel.ready(url);
  }

  /** No worker can listen. Once they could, it is left to their backoff: what took the port may go again. */
  function onUnusable(): void {
    if (ready) return;
    say(
      tlsProblem(config) ??
        `burgee: cannot listen on HOST ${config.host}, PORT ${config.port}: another program has it, or this user may not; ` +
          'end that program or set PORT to another port.',
    );
    process.exit(EXIT_CONFIGURATION);
  }

  ending.begin(async (reason, isLeaving) => {
    logger.info({ reason }, isLeaving ? 'leaving the workers to the next primary' : 'draining');
    // A stop that comes while the last writes are answered is a stop.
    if (isLeaving) await node.quiesce();
    if (isLeaving && !ending.isDraining()) await node.leave();
    else await node.close();
    channel.close();
    runDir.removePid('primary');
    await port.close();
    await lock.close();
    process.exit(0);
  });
}

/** The configuration with as many workers as the server library lets listen. Ends the process when there is none. */
function servedBy({ name, sharesPort, lack }: ServerLibrary, asked: Config, logger: Logger): Config {
  if (lack !== undefined && asked.transport === 'uws') {
    say(
      `burgee: TRANSPORT is uws, which cannot be used here. ${lack} Unset TRANSPORT to serve with Node.js's own server.`,
    );
    process.exit(EXIT_CONFIGURATION);
  }
  const workers = sharesPort ? asked.workers : 1;
  const isOne = `One worker serves, though WORKERS is ${asked.workers}: here several cannot share a port (Node.js 22.12 or later on Linux can).`;
  if (lack !== undefined) {
    const advice = workers < asked.workers ? ` ${isOne}` : '';
    logger.warn({ transport: name }, `Node.js's own server serves, slower than uWebSockets.js. ${lack}${advice}`);
  } else if (workers < asked.workers) logger.warn({ transport: name }, isOne);
  return Object.freeze({ ...asked, workers });
}

/** What tells this primary from others of its DATA_DIR. */
interface Own {
  readonly generation: string;
  readonly term: Term;
  /** Ends the process when another one has taken DATA_DIR. */
  readonly fence: () => void;
}

interface Node {
  /** Refuses further writes; resolves when those that had begun are answered. */
  quiesce(): Promise<void>;
  /** After quiesce: closes store and sockets; the workers serve on and dial the next primary. */
  leave(): Promise<void>;
  /** Drains the workers, answers what they had begun, and closes the store. */
  close(): Promise<void>;
}

interface NodeEvents {
  /** Called whenever all workers serve. */
  readonly onServing: () => void;
  readonly onUnusable: () => void;
}

/** Everything between the store and the workers. */
async function startNode(
  config: Config,
  { generation, term, fence }: Own,
  logger: Logger,
  opened: OpenedStore,
  runDir: RunDir,
  events: NodeEvents,
): Promise<Node> {
  const warn = (fields: object, message: string): void => logger.warn(fields, message);
  const error = (fields: object, message: string): void => logger.error(fields, message);
  const { store, files, quarantinedFlags } = createNodeStore(opened, runDir, warn, error);
  const hash = await createHashBytes();
  // A primary that was stopped or starved has not read the acks that wait in its sockets: that is nobody's lateness.
  const awake = createAwakeTime(systemClock, LATENESS_CHECK_MS);
  const kill = (pid: number, why: string): void => supervisor.kill(pid, why);
  const isStarved = (pid: number): boolean => supervisor.isStarved(pid);
  const publisher = createPublisher({ hash, now: () => awake.ms, fence, kill, isStarved });
  const redis = openNodeRedis(config, logger);
  const followed = { store, prepareStore: opened.prepare, dataDir: runDir.dataDir, blobs: files.blobs };
  const nodeSync = createNodeSync({ ...followed, config, publisher, redis, hash, logger });
  const sync = nodeSync.loop;
  const supervisor = createNodeSupervisor(config, generation, logger, runDir, {
    isBehind: publisher.isBehind,
    sendDrain: (pid, drain) => dispatch.drain(pid, drain),
    onDead: (pid, drained) => dispatch.dead(pid, drained),
    // A primary that found workers serving on this port leaves the others to their backoff: the service is not to end.
    onUnusable: () => {
      if (orphans.length === 0) events.onUnusable();
    },
  });
  const { highest, written: onWritten } = nodeSync;
  const settled = supervisor.settled();
  const commands = createCommands({ store, sync, publisher, fence, settled, highest, onWritten, warn, error });
  const metrics = createNodeMetrics();
  const deaths = (): number => dispatch.deaths();
  const stores = { database: opened.sql, hints: nodeSync.listener, redis: nodeSync.redisTallies };
  const told = { config, supervisor, publisher, sync, metrics, deaths, quarantinedFlags, term, ...stores };
  const vitals = createVitals(told);
  const orphans = orphansOf(runDir);
  const nodeLimits = openNodeLimits({
    redis,
    epoch: () => publisher.head?.epoch,
    folder: runDir.path,
    workers: config.workers,
    orphans: orphans.map(workerIdOf),
    onClock: () => dispatch.clockChanged(),
    warn,
  });
  const dispatch = createDispatch({
    supervisor,
    publisher,
    sync,
    commands,
    blobs: files.blobs,
    leases: nodeLimits.leases,
    sharedClock: nodeLimits.clock,
    metrics,
    unknownFlags: createNodeUnknownFlags(Date.now),
    vitals,
    term,
    orphans,
    drainDelayMs: config.drainDelayMs,
    onListening: () => {
      if (supervisor.serving() >= config.workers) events.onServing();
    },
  });
  const workerLinks = createWorkerLinks({ ...dispatch, socketPath: runDir.socketPath(), warn });
  const metricsServer = await vitals.startServer(warn);
  return openNode(
    { store, files, nodeSync, commands, publisher, supervisor, workerLinks, metricsServer, awake, nodeLimits, redis },
    config.shutdownTimeoutMs,
  );
}

function createNodeStore(
  opened: OpenedStore,
  runDir: RunDir,
  warn: (fields: object, message: string) => void,
  error: (fields: object, message: string) => void,
): { readonly store: Store; readonly files: NodeFiles; quarantinedFlags(): number } {
  const quarantined = new Set<string>();
  const files = createNodeFiles(runDir, (hash) => store.readBlob(hash), warn);
  const store = createStore(opened.sql, {
    blobs: files.segmentBlobs,
    onQuarantine(item) {
      if (item.kind === 'flag') quarantined.add(`${item.environment}/${item.id}`);
      error(item, `a ${item.kind} cannot be read; its newest version that can be serves`);
    },
    onError: (err, during) => error({ err, during }, 'the store failed'),
  });
  return { store, files, quarantinedFlags: () => quarantined.size };
}

interface Parts {
  readonly store: { close(): Promise<void> };
  readonly files: NodeFiles;
  readonly nodeSync: NodeSync;
  readonly commands: Commands;
  readonly publisher: Publisher;
  readonly supervisor: Supervisor;
  readonly workerLinks: WorkerLinks;
  readonly metricsServer: MetricsServer | undefined;
  readonly awake: AwakeTime;
  readonly nodeLimits: NodeLimits;
  readonly redis: RedisConnection | undefined;
}

/** Opens the parts in order, and knows the order in which they close. */
async function openNode(parts: Parts, shutdownTimeoutMs: number): Promise<Node> {
  const { store, files, nodeSync, commands, publisher, supervisor, workerLinks, awake, nodeLimits } = parts;
  await nodeSync.start();
  await nodeLimits.start();
  files.sweep();
  const stopSweep = systemClock.every(SWEEP_MS, files.sweep);
  await workerLinks.listen();
  supervisor.start();
  const stopLatenessCheck = systemClock.every(LATENESS_CHECK_MS, () => {
    awake.tick();
    publisher.endLate();
  });

  async function leave(): Promise<void> {
    nodeSync.loop.close();
    await commands.close();
    stopLatenessCheck();
    stopSweep();
    publisher.close();
    await parts.metricsServer?.close();
    // First: that their sockets close now is no fault of the workers.
    supervisor.close();
    await workerLinks.close();
    await nodeSync.close();
    await nodeLimits.close();
    await parts.redis?.close();
    await store.close();
    await files.close();
  }

  return {
    quiesce: () => commands.close(BEING_REPLACED),
    leave,
    async close() {
      await supervisor.drain(shutdownTimeoutMs);
      // With every worker gone nobody waits to be served a revision; only a transaction that has begun is waited for.
      await leave();
    },
  };
}

function createNodeSupervisor(
  config: Config,
  generation: string,
  logger: Logger,
  runDir: RunDir,
  on: Pick<SupervisorDeps, 'isBehind' | 'sendDrain' | 'onDead' | 'onUnusable'>,
): Supervisor {
  return createSupervisor({
    ...on,
    slots: config.workers,
    runDir,
    log: logger,
    clock: systemClock,
    fork: createWorkerFork({
      main: process.argv[1] as string,
      env: { ...WORKER_ENV, WORKERS: String(config.workers) },
    }),
    build: buildInfo().build,
    generation,
    drainMs: config.shutdownTimeoutMs,
  });
}

/** Workers of an earlier primary that live. */
function orphansOf(runDir: RunDir): readonly ProcessIdentity[] {
  return runDir
    .workers()
    .map(({ identity }) => identity)
    .filter(isAlive);
}

function endsWith(logger: Logger): (why: string, error: unknown) => void {
  return (why, error) => {
    logger.fatal(error === undefined ? {} : { err: error }, why);
    process.exit(1);
  };
}

/** Workers read the files for themselves; this tells the operator once. What is wrong is no reason to end: others serve. */
function tellOfTls(config: Config, logger: Logger): void {
  const problem = tlsProblem(config);
  if (problem !== undefined) logger.error({}, `no new worker can serve. ${problem}`);
  else for (const warning of readTls(config, Date.now())?.warnings ?? []) logger.warn({}, warning);
}

function tlsProblem(config: Config): string | undefined {
  try {
    readTls(config, Date.now());
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
