// What the tests of Redis share: a connection that tells what it says, and snapshots to keep there.
import { randomBytes } from 'node:crypto';
import { createHashBytes } from '../../src/snapshot/checksum.ts';
import type { SnapshotContent } from '../../src/snapshot/item.ts';
import { openRedis, type RedisConnection } from '../../src/storage/redis/connection.ts';
import { createHotCopy, type HotCopyDeps, type RedisHotCopy } from '../../src/storage/redis/hot-copy.ts';
import { contentOf, flagItem, keyItem, secretItem } from './snapshot.ts';

export const SECRET = 'ab'.repeat(32);

export interface Spoken {
  /** Each as "level message". */
  readonly lines: string[];
  /** Resolves when a line matches. */
  heard(pattern: RegExp): Promise<void>;
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
}

export function listener(): Spoken {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const say = (level: string) => (fields: object, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    for (const look of waiting) look();
  };
  return {
    lines,
    info: say('info'),
    warn: say('warn'),
    heard: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!lines.some((line) => pattern.test(line))) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** Resolves when it is up. */
export async function connected(url: string, timeoutMs = 1_000): Promise<RedisConnection & { spoken: Spoken }> {
  const spoken = listener();
  const redis = openRedis({ url, timeoutMs, info: spoken.info, warn: spoken.warn });
  await spoken.heard(/^info Redis is connected/);
  return Object.defineProperty(redis as RedisConnection & { spoken: Spoken }, 'spoken', { value: spoken });
}

/** Waits until Redis does what is asked. */
export async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export async function hotCopyOn(
  redis: Pick<RedisConnection, 'command' | 'run'>,
  options: Partial<Pick<HotCopyDeps, 'nodeId' | 'warn' | 'pieceBytes' | 'bytesMax'>> = {},
): Promise<RedisHotCopy> {
  return createHotCopy({ redis, hash: await createHashBytes(), nodeId: 'a', warn: () => {}, ...options });
}

/** With a key and the secret, and as many flags with tags of their own. */
export function snapshotAt(revision: number, flags = 2, fields: Record<string, unknown> = {}): SnapshotContent {
  const items = Array.from({ length: flags }, (_, index) =>
    flagItem(`flag-${index}`, revision, randomBytes(8).readBigUInt64LE(), fields),
  );
  return contentOf(revision, [...items, keyItem('k', 1, 7n, 'hash-of-key'), secretItem(1, 9n, SECRET)]);
}
