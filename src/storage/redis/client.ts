// A client of ioredis for one attempt to reach Redis. It never dials again, never repeats a command and never keeps one
// for later: all that is the link's, which makes a new client instead.
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { limits } from '../../limits.ts';
import type { RedisTarget } from '../../redis-url.ts';

export type RedisClient = Redis | Cluster;

/** How long a goodbye may take before the connection is cut. */
const GOODBYE_MS = 200;
/** One sentinel, or one node that is asked for the slots, of several. */
const ASIDE_MS_MAX = 700;
const REDIRECTIONS_MAX = 4;

/**
 * Dials at once.
 * @param attempt from 0: each begins with another of several hosts, for the first may be the one that hangs
 * @param subscribes a subscriber of a cluster hears everything from any one node, so it is a client of one
 */
export function dial(target: RedisTarget, attempt: number, subscribes: boolean): RedisClient {
  const shift = attempt % target.hosts.length;
  const hosts = [...target.hosts.slice(shift), ...target.hosts.slice(0, shift)];
  const options = {
    // All that is known to every server from Redis 6 on; nothing here needs RESP3.
    protocol: 2,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: {} } : {}),
    connectionName: 'burgee',
    disableClientInfo: true,
    retryStrategy: null,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // It would want INFO, and what is loading or a replica says so to the first command.
    enableReadyCheck: false,
    connectTimeout: limits.redisConnectMsMax,
    // Of the handshake, for which the link's own deadline would be enough, and of whatever else goes unanswered.
    commandTimeout: limits.redisSilenceMsMax + limits.hotCopyMsMax,
    disconnectTimeout: GOODBYE_MS,
    keepAlive: 10_000,
  } satisfies RedisOptions;
  if (target.kind === 'cluster' && !subscribes) return dialCluster(target, hosts, options);
  if (target.kind === 'sentinel') {
    return new Redis({
      ...options,
      enableOfflineQueue: false,
      db: target.database,
      sentinels: hosts,
      name: target.masterName,
      ...(target.sentinelUsername === undefined ? {} : { sentinelUsername: target.sentinelUsername }),
      ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
      ...(target.tls ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
      connectTimeout: ASIDE_MS_MAX,
      sentinelCommandTimeout: ASIDE_MS_MAX,
      sentinelRetryStrategy: () => null,
    });
  }
  return new Redis({ ...options, ...hosts[0], enableOfflineQueue: false, db: target.database });
}

function dialCluster(
  target: RedisTarget,
  hosts: RedisTarget['hosts'],
  options: NonNullable<ClusterOptions['redisOptions']>,
): Cluster {
  return new Cluster([...hosts], {
    redisOptions: { ...options, replyMapping: 'legacy' },
    enableOfflineQueue: false,
    enableReadyCheck: false,
    clusterRetryStrategy: null,
    maxRedirections: REDIRECTIONS_MAX,
    slotsRefreshTimeout: ASIDE_MS_MAX,
    // Its timer outlives the client. Who moved is told by the node that is asked, and a node that is lost by its commands.
    slotsRefreshInterval: 0,
    // A certificate names hosts: their names must reach the handshake, where the default would make addresses of them.
    ...(target.tls ? { dnsLookup: (name, callback) => callback(null, name) } : {}),
  });
}
