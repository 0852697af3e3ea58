// Several nodes of the whole service on one PostgreSQL and one Redis, each reached through a proxy, so that an experiment
// can take either away. And eyes on every worker of all of them: a socket to each that hears of each revision.
import type { Socket } from 'node:net';
import { ownerOf } from './hand-over/node.ts';
import { findPostgres, type PostgresPrograms, type PostgresServer, startPostgres } from './postgres.ts';
import { startProxy, type TcpProxy } from './proxy.ts';
import { prepareRedis, type RedisServer, startRedis } from './redis.ts';
import { ADMIN_KEY, type Service, type ServiceOptions, startService } from './service.ts';
import { openSocket, type SocketClient } from './socket-client.ts';

/** How nodes hear of each other's writes beside the poll. */
export type News = 'redis' | 'listen' | 'poll';

export interface Backends {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly postgresProxy: TcpProxy;
  readonly redisProxy: TcpProxy;
  close(): Promise<void>;
}

export interface NodesOptions {
  readonly count: number;
  /** Of each node. */
  readonly workers: number;
  /**
   * redis: Redis and LISTEN. listen: no Redis. poll: no Redis, and LISTEN is of a channel on which nobody speaks, as behind
   * a pooler that gives each transaction another connection.
   */
  readonly news: News;
  /** A database of its own; undefined: the server's first. */
  readonly database?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What both servers are started from; or why they cannot be had. */
export function findBackends(): PostgresPrograms | { readonly missing: string } {
  return prepareRedis() ?? findPostgres();
}

/** Both servers, and a proxy before each. `settings`: of PostgreSQL. */
export async function startBackends(programs: PostgresPrograms, settings: readonly string[] = []): Promise<Backends> {
  const postgres = await startPostgres(programs, settings);
  const redis = await startRedis();
  const postgresProxy = await startProxy(postgres.port);
  const redisProxy = await startProxy(redis.port);
  return {
    postgres,
    redis,
    postgresProxy,
    redisProxy,
    async close() {
      await postgresProxy.close();
      await redisProxy.close();
      await redis.close();
      await postgres.close();
    },
  };
}

/** Resolves when every node is ready. They start together. */
export async function startNodes(backends: Backends, options: NodesOptions): Promise<readonly Service[]> {
  const given = await nodeOptions(backends, options);
  return Promise.all(Array.from({ length: options.count }, () => startService(given)));
}

/** What one node of them is started with. */
export async function nodeOptions(
  { postgres, redis, postgresProxy, redisProxy }: Backends,
  { workers, news, database, env }: Omit<NodesOptions, 'count'>,
): Promise<ServiceOptions> {
  if (news === 'poll') postgresProxy.alter('LISTEN burgee', 'LISTEN nobody');
  else postgresProxy.alter();
  const url = database === undefined ? postgres.url : await postgres.createDatabase(database);
  return {
    workers,
    env: {
      DATABASE_URL: postgresProxy.through(url),
      ...(news === 'redis' ? { REDIS_URL: redisProxy.through(redis.url) } : {}),
      ACCESS_LOG: 'errors',
      ...env,
    },
  };
}

export async function stopNodes(nodes: readonly Service[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()));
}

/** Makes a flag on the first node and resolves when every worker of all nodes serves it. */
export async function makeEverywhere(nodes: readonly Service[], flag: Record<string, unknown>): Promise<void> {
  const eyes = await openEyes(nodes);
  const reply = await (nodes[0] as Service).api('/api/v1/flags', { method: 'POST', json: flag });
  if (reply.status !== 201) throw new Error(`a flag was not made: ${reply.status} ${JSON.stringify(reply.body)}`);
  await eyes.reached(Number(reply.headers.get('x-flags-revision')));
  eyes.close();
}

export interface Eyes {
  /** Workers that are looked at. */
  readonly count: number;
  /** The latest revision that each has told. */
  readonly revisions: readonly number[];
  /** Resolves when every worker serves `revision` or a later one, with the moment of the last (performance.now()). */
  reached(revision: number): Promise<number>;
  close(): void;
}

/** Watches prod on each worker of each node. */
export async function openEyes(nodes: readonly Service[]): Promise<Eyes> {
  const sockets = (await Promise.all(nodes.map(socketToEach))).flat();
  const seen: { revision: number; atMs: number }[] = sockets.map(() => ({ revision: 0, atMs: 0 }));
  const waiting = new Set<{ readonly revision: number; readonly done: () => void }>();
  for (const [index, client] of sockets.entries()) {
    client.socket.on('message', (bytes: Buffer) => {
      const message = JSON.parse(bytes.toString('utf8')) as { type: string; revision?: number };
      if (message.type !== 'revision' || message.revision === undefined) return;
      seen[index] = { revision: message.revision, atMs: performance.now() };
      for (const waiter of waiting) if (isReached(waiter.revision)) waiter.done();
    });
    client.send({ type: 'watch', id: 1, environment: 'prod' });
    await client.ping();
  }

  function isReached(revision: number): boolean {
    return seen.every((each) => each.revision >= revision);
  }

  return {
    count: sockets.length,
    get revisions() {
      return seen.map(({ revision }) => revision);
    },
    reached(revision) {
      if (isReached(revision)) return Promise.resolve(Math.max(...seen.map(({ atMs }) => atMs)));
      return new Promise((resolve) => {
        const waiter = {
          revision,
          done() {
            waiting.delete(waiter);
            resolve(performance.now());
          },
        };
        waiting.add(waiter);
      });
    },
    close() {
      for (const client of sockets) client.socket.terminate();
    },
  };
}

/** The kernel chooses the worker: sockets are opened until each has one. */
async function socketToEach(node: Service): Promise<SocketClient[]> {
  const found = new Map<number, SocketClient>();
  while (found.size < node.workerPids().length) {
    const client = await openSocket(node.port, { key: ADMIN_KEY });
    const pid = ownerOf(node.port, localPortOf(client), node.workerPids());
    if (pid === undefined || found.has(pid)) client.socket.terminate();
    else found.set(pid, client);
  }
  return [...found.values()];
}

function localPortOf(client: SocketClient): number {
  return (client.socket as unknown as { readonly _socket: Socket })._socket.localPort ?? 0;
}
