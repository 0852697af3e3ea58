// Where a whole snapshot comes from. With the store in reach it says what is true, by its revision and sums, and the hot
// copy saves reading everything from it; without it the newest of hot copy and file is served. Keys come from the store or
// the file, never from Redis: whoever writes there would make himself admin.
import { type Clock, delay } from '../run/clock.ts';
import { isOfKeys, toggle } from '../snapshot/checksum.ts';
import type { SnapshotContent, SnapshotItem } from '../snapshot/item.ts';
import { createSnapshotState } from '../snapshot/state.ts';
import type { Store } from '../storage/store.ts';
import { HOT_COPY_TTL_MS, type HotCopy } from '../storage/tiers.ts';
import { charsOf } from './sync-counts.ts';

/** Redis that is not there within these tries, in milliseconds apart, is done without. */
const REDIS_TRIES = 4;
const REDIS_TRY_MS = 100;

/** What the file had at the start. */
export interface Kept {
  readonly content: SnapshotContent;
  /** Milliseconds since 1970. */
  readonly confirmedAtMs: number;
}

export interface LoadedFromStore {
  readonly content: SnapshotContent;
  /** "redis": all but keys and what changed since is the hot copy's. */
  readonly from: 'store' | 'redis';
  /** Of documents read from the store, in characters. */
  readonly itemChars: number;
}

/** Rejects when the store cannot be read. Whatever Redis does only makes it read everything. */
export async function loadFromStore(deps: {
  readonly store: Pick<Store, 'readHead' | 'readKeys' | 'readAll' | 'readSince'>;
  readonly hotCopy: HotCopy | undefined;
  readonly kept: Kept | undefined;
  readonly clock: Clock;
}): Promise<LoadedFromStore> {
  const { store, hotCopy, kept } = deps;
  const loaded = hotCopy && (await loadWithHotCopy(store, hotCopy, kept, deps.clock));
  if (loaded !== undefined) return loaded;
  const content = await store.readAll();
  return { content, from: 'store', itemChars: charsOf(content.items) };
}

async function loadWithHotCopy(
  store: Pick<Store, 'readHead' | 'readKeys' | 'readSince'>,
  hotCopy: HotCopy,
  kept: Kept | undefined,
  clock: Clock,
): Promise<LoadedFromStore | undefined> {
  const head = await store.readHead();
  if (!(await isThere(hotCopy, head.epoch, clock))) return undefined;
  const hasKeys = kept?.content.head.epoch === head.epoch && kept.content.head.sumKeys === head.sumKeys;
  const keys = hasKeys ? { ...kept.content, head } : await store.readKeys();
  // With the secret that is among them the copy is believed, or not.
  hotCopy.trust(keys.items);
  const hot = await orUndefined(hotCopy.read(head.epoch));
  if (hot === undefined || hot.head.epoch !== keys.head.epoch) return undefined;
  const made = await joined(hot, keys, store);
  if (made === undefined) return undefined;
  return {
    content: made.content,
    from: 'redis',
    itemChars: made.itemChars + (hasKeys ? 0 : charsOf(keys.items)),
  };
}

/** At the start the connection to Redis may be a moment younger than that to the store. */
async function isThere(hotCopy: HotCopy, epoch: string, clock: Clock): Promise<boolean> {
  for (let left = REDIS_TRIES; left > 0; left--) {
    try {
      return (await hotCopy.standing(epoch)) !== undefined;
    } catch {
      if (left > 1) await delay(clock, REDIS_TRY_MS);
    }
  }
  return false;
}

/** The hot copy with these keys and what changed since; undefined when that does not lead to the store's sums. */
async function joined(
  hot: SnapshotContent,
  keys: SnapshotContent,
  store: Pick<Store, 'readSince'>,
): Promise<{ readonly content: SnapshotContent; readonly itemChars: number } | undefined> {
  const content = compose(hot, keys.items);
  if (hot.head.revision === keys.head.revision) {
    const agrees = content.head.sumKeys === keys.head.sumKeys && content.head.sumRest === keys.head.sumRest;
    return agrees ? { content: { ...content, head: keys.head }, itemChars: 0 } : undefined;
  }
  if (hot.head.revision > keys.head.revision) return undefined;
  const delta = await store.readSince(hot.head.revision);
  if (delta === undefined || delta.head.epoch !== hot.head.epoch) return undefined;
  const state = createSnapshotState(content);
  if (state.apply(delta) !== undefined) return undefined;
  return { content: { head: state.head, items: [...state.items.values()] }, itemChars: charsOf(delta.puts) };
}

export interface LoadedWithoutStore {
  readonly content: SnapshotContent;
  readonly tier: 'redis' | 'file';
  /** Since the store confirmed it, as far as is known. */
  readonly staleMs: number;
}

/** The newest there is without the store. Undefined without a file: nobody else has keys. */
export async function loadWithoutStore(deps: {
  readonly kept: Kept | undefined;
  readonly hotCopy: HotCopy | undefined;
  readonly wallMs: number;
}): Promise<LoadedWithoutStore | undefined> {
  const { kept, hotCopy } = deps;
  if (kept === undefined) return undefined;
  const { epoch, revision } = kept.content.head;
  hotCopy?.trust(kept.content.items);
  const standing = await orUndefined(hotCopy?.standing(epoch));
  if (standing !== undefined && standing.revision > revision) {
    const hot = await orUndefined(hotCopy?.read(epoch));
    if (hot !== undefined && hot.head.epoch === epoch && hot.head.revision > revision) {
      const content = compose(
        hot,
        kept.content.items.filter(({ kind }) => isOfKeys(kind)),
      );
      return { content, tier: 'redis', staleMs: Math.max(0, HOT_COPY_TTL_MS - standing.ttlMs) };
    }
  }
  // A clock that was set back does not make it fresher than fresh.
  const staleMs = Math.max(0, deps.wallMs - kept.confirmedAtMs);
  return { content: { ...kept.content, items: kept.content.items.map(withoutLoss) }, tier: 'file', staleMs };
}

/** `rest`, less what keys it may claim to have, with these keys; its sums are those of its items. */
function compose(rest: SnapshotContent, keys: readonly SnapshotItem[]): SnapshotContent {
  const sums = { keys: 0n, rest: 0n };
  const others = rest.items.filter(({ kind }) => !isOfKeys(kind)).map(withoutLoss);
  const items = [...others, ...keys.filter(({ kind }) => isOfKeys(kind))];
  for (const { kind, tag } of items) toggle(sums, kind, tag);
  return { head: { ...rest.head, sumKeys: sums.keys, sumRest: sums.rest }, items };
}

/** Whether the ids of a segment can be had is a matter of the moment: who wrote the copy may have lacked them. */
function withoutLoss(item: SnapshotItem): SnapshotItem {
  if (item.kind !== 'segment' || !item.json.includes('"lost":')) return item;
  try {
    const { lost: _, ...fields } = JSON.parse(item.json) as Record<string, unknown>;
    return { ...item, json: JSON.stringify(fields) };
  } catch {
    return item;
  }
}

/** What Redis does not give, in time, is not there. */
async function orUndefined<T>(asked: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await asked;
  } catch {
    return undefined;
  }
}
