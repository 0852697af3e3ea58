// Hot path.
// Who asks: the raw key of a request becomes the key of the snapshot. SHA-256 is computed once for a key and snapshot;
// after that a request costs one lookup in a bounded map.
import { createHash, timingSafeEqual } from 'node:crypto';
import { limits } from '../limits.ts';
import type { ServingKey, ServingSnapshot } from './serving.ts';

export interface Auth {
  /** The key of this snapshot, or undefined: unknown, revoked or expired at `nowMs`. */
  find(rawKey: string, snapshot: ServingSnapshot, nowMs: number): ServingKey | undefined;
}

interface KnownKey {
  key: ServingKey;
  /** Which snapshot `key` was found in, as a count: a reference would keep old snapshots alive. */
  generation: number;
}

export function createAuth(): Auth {
  // Only keys that exist are remembered: guessing fills nothing.
  const known = new Map<string, KnownKey>();
  let latest: ServingSnapshot | undefined;
  let generation = 0;

  function revalidate(rawKey: string, entry: KnownKey, snapshot: ServingSnapshot): ServingKey | undefined {
    const key = snapshot.keysByHash.get(entry.key.keyHash);
    if (key === undefined) {
      known.delete(rawKey);
      return undefined;
    }
    entry.key = key;
    entry.generation = generation;
    return key;
  }

  function look(rawKey: string, snapshot: ServingSnapshot): ServingKey | undefined {
    const digest = createHash('sha256').update(rawKey, 'utf8').digest();
    const key = snapshot.keysByHash.get(digest.toString('hex'));
    if (key === undefined) return undefined;
    const stored = Buffer.from(key.keyHash, 'hex');
    if (stored.length !== digest.length || !timingSafeEqual(stored, digest)) return undefined;
    if (known.size >= limits.keysCachedMax) known.clear();
    known.set(rawKey, { key, generation });
    return key;
  }

  return {
    find(rawKey, snapshot, nowMs) {
      if (rawKey === '' || rawKey.length > limits.keyCharsMax) return undefined;
      if (snapshot !== latest) {
        latest = snapshot;
        generation += 1;
      }
      const entry = known.get(rawKey);
      let key: ServingKey | undefined;
      if (entry === undefined) key = look(rawKey, snapshot);
      else key = entry.generation === generation ? entry.key : revalidate(rawKey, entry, snapshot);
      // Written so that an expiry that is not a number refuses.
      return key !== undefined && nowMs < key.expiresAtMs ? key : undefined;
    },
  };
}

/** The raw key of the two headers; empty when neither carries one. `X-API-Key` goes first. */
export function rawKeyOf(apiKey: string, authorization: string): string {
  if (apiKey !== '') return apiKey;
  if (authorization.length < 8 || authorization.slice(0, 7).toLowerCase() !== 'bearer ') return '';
  return authorization.slice(7).trim();
}
