// What says without a service how far a store had come: the snapshot file of DATA_DIR, and Redis, where every node notes it.
import type { Config } from '../config.ts';
import { limits } from '../limits.ts';
import { systemClock } from '../run/clock.ts';
import { createHashBytes, type HashBytes } from '../snapshot/checksum.ts';
import type { SnapshotContent } from '../snapshot/item.ts';
import { readKeys } from '../storage/read.ts';
import { openRedis } from '../storage/redis/connection.ts';
import { createHotCopy } from '../storage/redis/hot-copy.ts';
import { createSnapshotFile } from '../storage/snapshot-file.ts';
import type { Sql } from '../storage/sql.ts';
import { CommandFailed, describe } from './failure.ts';
import { say } from './straight.ts';

const ASKED_AGAIN_MS = 50;

/**
 * The highest revision known of this store; 0: none.
 * @param isOptional false: throws CommandFailed when Redis cannot be asked
 */
export async function highestKnown(config: Config, sql: Sql, isOptional: boolean): Promise<number> {
  const hash = await createHashBytes();
  const keys = await readKeys(sql);
  const onFile = await highestOnFile(config, keys.head.epoch, hash);
  return Math.max(onFile, await highestInRedis(config, keys, hash, isOptional));
}

/** What the service of this DATA_DIR served last. */
async function highestOnFile({ dataDir }: Config, epoch: string, hash: HashBytes): Promise<number> {
  const warn = ({ path }: { path?: unknown }, message: string): void => say(`burgee: ${String(path)}: ${message}`);
  const file = createSnapshotFile({ folder: dataDir, hash, clock: systemClock, wallClock: Date.now, warn });
  const kept = await file.read();
  return kept?.content.head.epoch === epoch ? kept.content.head.revision : 0;
}

async function highestInRedis(
  { redisUrl: url, redisTimeoutMs: timeoutMs }: Config,
  { head: { epoch }, items }: SnapshotContent,
  hash: HashBytes,
  isOptional: boolean,
): Promise<number> {
  if (url === undefined) return 0;
  const ignore = (): void => {};
  const redis = openRedis({ url, timeoutMs, info: ignore, warn: ignore });
  try {
    const copy = createHotCopy({ redis, hash, nodeId: 'cli', warn: ignore });
    // Nodes sign it with the store's secret.
    copy.trust(items);
    return await askPatiently(() => copy.highestSeen(epoch));
  } catch (error) {
    const problem = `Redis, where nodes note the highest revision, cannot be asked: ${describe(error)}`;
    if (!isOptional) throw new CommandFailed(`${problem}. Nothing was changed; name the revision with --above`);
    say(`burgee: ${problem}`);
    return 0;
  } finally {
    await redis.close();
  }
}

/** A connection that is still being made answers nothing. */
async function askPatiently<T>(ask: () => Promise<T>): Promise<T> {
  for (const untilMs = systemClock.nowMs() + limits.redisConnectMsMax; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (systemClock.nowMs() > untilMs) throw error;
      await new Promise<void>((resolve) => void systemClock.after(ASKED_AGAIN_MS, resolve));
    }
  }
}
