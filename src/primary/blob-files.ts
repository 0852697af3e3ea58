// Keeps the files of packed ids that workers read: before a snapshot or a delta is published, every blob that it names
// lies in DATA_DIR/run/blobs under its SHA-256. What nothing names any more goes after a while.
//
// Workers serve what they have while a blob is fetched, and a blob that cannot be had is asked for again. But one that is
// gone for good must not keep every other change from being served, nor the service from starting: after some tries its
// segment is published as lost, and is mended when the blob can be had after all.
import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobsOf, readSegmentItem } from '../core/compile-segment.ts';
import type { ReadBlob } from '../snapshot/blob-file.ts';
import type { BlobRef, DeltaContent, SnapshotContent, SnapshotItem } from '../snapshot/item.ts';
import { addressOf } from '../snapshot/state.ts';

/** Tries of a blob, one a turn of the sync loop, before its segment is lost. At the start one is enough. */
const TRIES_MAX = 3;
const MEND_EVERY_MS = 10_000;
/** A worker may be about to read what was just replaced; a write may be about to name what was just made. */
const UNNAMED_KEPT_MS = 60_000;
/** A file that is still written is younger. */
const LEFTOVERS_KEPT_MS = 600_000;
const RECHECK_REST_MS = 1000;
const BLOB_NAME = /^[0-9a-f]{64}$/;

export interface BlobFiles {
  /** The content as it can be published. Rejects when a blob cannot be had now and trying again may help. */
  prepareAll(content: SnapshotContent): Promise<SnapshotContent>;
  prepareDelta(delta: DeltaContent): Promise<DeltaContent>;
  /** True when something that was published as lost can be had by now: prepareAll() will find it. */
  mended(): Promise<boolean>;
  /** Resolves when the blob's file is there. */
  fetch(ref: BlobRef): Promise<void>;
  /** The same for one whose file could not be read, whatever was believed of it. */
  refetch(ref: BlobRef): Promise<void>;
  /** This file was written by us just now, whole. */
  made(ref: BlobRef): void;
  /**
   * A worker refuses what it is sent, again and again: looks at every file anew, and fetches what is damaged. Takes a
   * second at least, so that it is not asked in a tight loop. Never rejects.
   */
  recheck(): Promise<void>;
  /** To be called on a timer: removes what nothing names and what was left half-written. */
  sweep(): void;
}

export function createBlobFiles(deps: {
  /** DATA_DIR/run/blobs. */
  readonly folder: string;
  /** DATA_DIR/run/uploads. */
  readonly uploads: string;
  readonly readFromStore: (hash: string) => AsyncIterable<Uint8Array>;
  /** Reads a file of the folder and rejects when it is not what its name says. */
  readonly readFile: ReadBlob;
  readonly now: () => number;
  /** Milliseconds since 1970, as files have them. */
  readonly wallClock: () => number;
  readonly rest: (ms: number) => Promise<void>;
  readonly warn: (fields: object, message: string) => void;
}): BlobFiles {
  /** address of a segment -> what it names. */
  let named = new Map<string, readonly BlobRef[]>();
  const lost = new Map<string, readonly BlobRef[]>();
  const failures = new Map<string, number>();
  /** Files that were verified, or written, by this process. */
  const verified = new Set<string>();
  const fetching = new Map<string, Promise<void>>();
  const unnamedSinceMs = new Map<string, number>();
  let rechecking: Promise<void> | undefined;
  let isFirst = true;
  let mendedAtMs = Number.NEGATIVE_INFINITY;

  function fetch(ref: BlobRef): Promise<void> {
    if (unnamedSinceMs.has(ref.hash)) unnamedSinceMs.set(ref.hash, deps.now());
    let running = fetching.get(ref.hash);
    if (running === undefined) {
      running = bring(ref).finally(() => fetching.delete(ref.hash));
      fetching.set(ref.hash, running);
    }
    return running;
  }

  async function bring(ref: BlobRef): Promise<void> {
    const isThere = verified.has(ref.hash)
      ? await hasSize(join(deps.folder, ref.hash), ref.bytes)
      : await deps.readFile(ref).then(
          () => true,
          () => false,
        );
    if (!isThere) await download(deps.folder, ref, deps.readFromStore(ref.hash));
    verified.add(ref.hash);
  }

  /** Why a blob of these cannot be had; undefined: all are there. */
  async function tryFetch(refs: readonly BlobRef[]): Promise<{ ref: BlobRef; error: unknown } | undefined> {
    for (const ref of refs) {
      try {
        await fetch(ref);
        failures.delete(ref.hash);
      } catch (error) {
        failures.set(ref.hash, isFirst ? TRIES_MAX : (failures.get(ref.hash) ?? 0) + 1);
        return { ref, error };
      }
    }
    return undefined;
  }

  async function prepare(items: readonly SnapshotItem[]): Promise<readonly SnapshotItem[]> {
    const refsByItem = new Map<SnapshotItem, readonly BlobRef[]>();
    for (const item of items) if (item.kind === 'segment') refsByItem.set(item, refsOf(item));
    // Named from here on, so that no sweep takes away what is being fetched.
    for (const [item, refs] of refsByItem) named.set(addressOf(item), refs);
    const prepared = new Map<SnapshotItem, SnapshotItem>();
    for (const [item, refs] of refsByItem) {
      const failure = await tryFetch(refs);
      if (failure === undefined) {
        lost.delete(addressOf(item));
        continue;
      }
      const { ref, error } = failure;
      if ((failures.get(ref.hash) ?? 0) < TRIES_MAX)
        throw new Error(`blob ${ref.hash} of segment ${item.id} cannot be had`, { cause: error });
      const { environment, id } = item;
      deps.warn({ err: error, environment, segment: id, blob: ref.hash }, 'a segment is served without its ids');
      lost.set(addressOf(item), refs);
      prepared.set(item, asLost(item, ref));
    }
    return prepared.size === 0 ? items : items.map((item) => prepared.get(item) ?? item);
  }

  async function recheck(): Promise<void> {
    verified.clear();
    for (const refs of [...named.values()]) await tryFetch(refs);
    await deps.rest(RECHECK_REST_MS);
  }

  function sweep(): void {
    const hashes = new Set([...named.values()].flat().map(({ hash }) => hash));
    const wallMs = deps.wallClock();
    for (const name of readdirSync(deps.folder)) {
      const path = join(deps.folder, name);
      if (!BLOB_NAME.test(name)) removeOlder(path, wallMs - LEFTOVERS_KEPT_MS);
      // Before the first snapshot it is not known what is named: with the store away these files are all there is.
      else if (isFirst || hashes.has(name) || fetching.has(name)) unnamedSinceMs.delete(name);
      else {
        const sinceMs = unnamedSinceMs.get(name) ?? deps.now();
        unnamedSinceMs.set(name, sinceMs);
        if (deps.now() - sinceMs < UNNAMED_KEPT_MS || !removeOlder(path, wallMs - UNNAMED_KEPT_MS)) continue;
        unnamedSinceMs.delete(name);
        verified.delete(name);
      }
    }
    for (const name of readdirSync(deps.uploads)) removeOlder(join(deps.uploads, name), wallMs - LEFTOVERS_KEPT_MS);
  }

  return {
    async prepareAll(content) {
      const before = named;
      named = new Map();
      try {
        const items = await prepare(content.items);
        isFirst = false;
        for (const address of [...lost.keys()]) if (!named.has(address)) lost.delete(address);
        return { ...content, items };
      } catch (error) {
        named = new Map([...before, ...named]);
        throw error;
      }
    },
    async prepareDelta(delta) {
      const puts = await prepare(delta.puts);
      for (const remove of delta.removes) {
        named.delete(addressOf(remove));
        lost.delete(addressOf(remove));
      }
      return { ...delta, puts };
    },
    async mended() {
      if (lost.size === 0 || deps.now() - mendedAtMs < MEND_EVERY_MS) return false;
      mendedAtMs = deps.now();
      for (const refs of lost.values()) if ((await tryFetch(refs)) === undefined) return true;
      return false;
    },
    fetch,
    refetch(ref) {
      verified.delete(ref.hash);
      return fetch(ref);
    },
    made: (ref) => void verified.add(ref.hash),
    recheck() {
      rechecking ??= recheck().finally(() => {
        rechecking = undefined;
      });
      return rechecking;
    },
    sweep() {
      try {
        sweep();
      } catch (error) {
        deps.warn({ err: error }, 'files that nobody needs could not be removed');
      }
    },
  };
}

/** Blobs of a broken item are none: the workers quarantine it. */
function refsOf(item: SnapshotItem): readonly BlobRef[] {
  const read = readSegmentItem(item.json, item);
  return read.ok ? blobsOf(read.value) : [];
}

function asLost(item: SnapshotItem, ref: BlobRef): SnapshotItem {
  const fields = JSON.parse(item.json) as object;
  return { ...item, json: JSON.stringify({ ...fields, lost: `its ids cannot be read: blob ${ref.hash}` }) };
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.size === bytes;
}

/** Aside and renamed when it is what its name says, so that no worker sees half of it. */
async function download(folder: string, ref: BlobRef, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const path = join(folder, ref.hash);
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    const sha = createHash('sha256');
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > ref.bytes) break;
      sha.update(chunk);
      await file.appendFile(chunk);
    }
    const hash = sha.digest('hex');
    if (bytes !== ref.bytes || hash !== ref.hash)
      throw new Error(`the store gave ${bytes} bytes with SHA-256 ${hash} for blob ${ref.hash} of ${ref.bytes} bytes`);
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

/** False: it is younger. Another may have removed it first. */
function removeOlder(path: string, thanMs: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return true;
  if (found.mtimeMs > thanMs) return false;
  rmSync(path, { force: true });
  return true;
}
