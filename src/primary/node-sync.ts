// What keeps this node at the store's newest revision: the sync loop, and all that helps it: the snapshot file, the hot copy
// in Redis with its upkeep, and hints from PostgreSQL and Redis.
import { randomUUID } from 'node:crypto';
import type { Config } from '../config.ts';
import type { Logger } from '../observe/logger.ts';
import type { RedisTallies } from '../observe/redis-metrics.ts';
import { systemClock } from '../run/clock.ts';
import type { HashBytes } from '../snapshot/checksum.ts';
import { createPostgresListener, type PostgresListener } from '../storage/postgres-listener.ts';
import type { RedisConnection } from '../storage/redis/connection.ts';
import { createRedisHints } from '../storage/redis/hints.ts';
import { createHotCopy, type RedisHotCopy } from '../storage/redis/hot-copy.ts';
import { createSnapshotFile } from '../storage/snapshot-file.ts';
import type { Store } from '../storage/store.ts';
import type { BlobFiles } from './blob-files.ts';
import { createHotCopyUpkeep } from './hot-copy-upkeep.ts';
import type { Publisher } from './publisher.ts';
import { createSyncLoop, type SyncLoop } from './sync.ts';

export interface NodeSync {
  readonly loop: SyncLoop;
  /** Of hints from PostgreSQL. */
  readonly listener: PostgresListener | undefined;
  /** Resolves when something is published, or nothing can be for now. */
  start(): Promise<void>;
  /** A write of this node was answered: tells the other nodes. */
  written(revision: number): void;
  /** The highest revision that this node or Redis knows of. Never rejects. */
  highest(): Promise<number>;
  /** For the metrics; undefined without a Redis. */
  redisTallies(): RedisTallies | undefined;
  /** After the loop's close(): resolves when the newest snapshot is in the file. */
  close(): Promise<void>;
}

export function createNodeSync(deps: {
  readonly config: Pick<Config, 'databaseUrl'>;
  readonly dataDir: string;
  readonly store: Store;
  readonly prepareStore: (() => Promise<void>) | undefined;
  readonly publisher: Publisher;
  readonly blobs: BlobFiles;
  readonly redis: RedisConnection | undefined;
  readonly hash: HashBytes;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}): NodeSync {
  const { publisher, hash, logger } = deps;
  const warn = (fields: object, message: string): void => logger.warn(fields, message);
  const { databaseUrl } = deps.config;
  const ambient = { clock: systemClock, wallClock: Date.now, random: Math.random, warn };
  // The embedded database is on the same disk as the file would be.
  const file = databaseUrl === undefined ? undefined : createSnapshotFile({ folder: deps.dataDir, hash, ...ambient });
  // On the embedded database there is nobody to share with.
  const redis = databaseUrl === undefined ? undefined : deps.redis;
  const hotCopy = redis && createHotCopy({ redis, hash, nodeId: randomUUID(), warn });
  const loop = createSyncLoop({
    ...ambient,
    store: deps.store,
    prepareStore: deps.prepareStore,
    publisher,
    blobs: deps.blobs,
    hotCopy,
    file,
    onConfirmed(revision) {
      publisher.toAll({ type: 'confirmed', revision, tier: 'store' });
      upkeep?.published();
      hints?.listen(publisher.head?.epoch ?? '');
    },
  });
  const { witnessed, hinted: onHint, lookNow } = loop;
  const confirmedAtMs = (): number => loop.confirmedAtMs;
  const upkeep = hotCopy && createHotCopyUpkeep({ ...ambient, hotCopy, publisher, confirmedAtMs, witnessed });
  const listener =
    databaseUrl === undefined
      ? undefined
      : createPostgresListener({ ...ambient, url: databaseUrl, onHint, onConnected: lookNow });
  const hints =
    redis &&
    createRedisHints({
      redis,
      ...ambient,
      onHint,
      onListening: lookNow,
      info: (fields, message) => logger.info(fields, message),
    });

  return {
    loop,
    listener,
    redisTallies: () => tally(redis, hotCopy),
    async start() {
      await loop.start();
      listener?.start();
      upkeep?.start();
    },
    written(revision) {
      const epoch = publisher.head?.epoch;
      if (epoch !== undefined) hints?.publish(epoch, revision);
    },
    async highest() {
      const epoch = publisher.head?.epoch;
      if (epoch === undefined || hotCopy === undefined) return loop.highest;
      const seen = await hotCopy.highestSeen(epoch).catch(() => 0);
      // Heard like any witness, so that what no store reaches is not believed here either.
      loop.witnessed(epoch, seen);
      return loop.highest;
    },
    async close() {
      await listener?.close();
      await hints?.close();
      await upkeep?.close();
      await file?.close();
    },
  };
}

function tally(redis: RedisConnection | undefined, hotCopy: RedisHotCopy | undefined): RedisTallies | undefined {
  if (redis === undefined || hotCopy === undefined) return undefined;
  const { reads: hotCopyReads, writes: hotCopyWrites } = hotCopy;
  return { isUp: redis.isUp, failures: redis.failures, hotCopyReads, hotCopyWrites };
}
