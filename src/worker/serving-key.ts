// Keys and secrets as the snapshot carries them become what a request asks about.
import { rankOf } from '../core/scopes.ts';
import type { KeyItem, SecretItem } from '../snapshot/item.ts';
import type { ServingKey } from './serving.ts';

/**
 * A scope this build does not know gives nothing, and an item that cannot be read is no key: deny before allow, and a
 * snapshot never crashes a worker.
 */
export function compileKey(json: string): ServingKey | undefined {
  try {
    return fromItem(JSON.parse(json) as KeyItem);
  } catch {
    return undefined;
  }
}

/** undefined for an item that cannot be read: then there are no streams, and all else goes on. */
export function compileSecret(json: string): Uint8Array | undefined {
  try {
    const { secret } = JSON.parse(json) as SecretItem;
    return /^[0-9a-f]{64}$/.test(secret) ? Buffer.from(secret, 'hex') : undefined;
  } catch {
    return undefined;
  }
}

function fromItem(item: KeyItem): ServingKey {
  return {
    keyId: item.key_id,
    keyHash: item.key_hash,
    name: item.name,
    rank: rankOf(item.scopes),
    scopes: item.scopes,
    environments: item.environments === null ? undefined : new Set(item.environments),
    tags: item.tags === null ? undefined : new Set(item.tags),
    rateLimit: item.rate_limit,
    expiresAtMs: item.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(item.expires_at),
  };
}
