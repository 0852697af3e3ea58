// The primary's side of the thread that packs lists of ids. One thread: a list of 64 MiB takes it some 250 MB for a
// second, and whoever sends a second one at that moment can wait.
import { Piscina } from 'piscina';
import type { Issue } from '../../core/model.ts';
import type { BlobRef } from '../../core/segment.ts';
import { limits } from '../../limits.ts';
import type { Foldable } from '../../storage/segment-blobs.ts';
import { StorageUnavailable } from '../../storage/sql.ts';

export interface PackTask {
  readonly path: string;
  /** What whoever wrote the file says that it has. */
  readonly bytes: number;
  readonly idsMax: number;
  /** Where what is made goes: DATA_DIR/run/blobs. */
  readonly folder: string;
}

export interface FoldTask {
  readonly list: Foldable;
  readonly isBase: boolean;
  /** Where the layers lie, and where what is made goes. */
  readonly folder: string;
}

export interface Made {
  readonly ref: BlobRef;
  readonly bytes: Uint8Array;
}

export type Packed =
  | { readonly ok: true; readonly blob: Made | null }
  | { readonly ok: false; readonly issues: readonly Issue[] };

export interface Folded {
  readonly adds: Made | null;
  readonly drops: Made | null;
}

export interface Packing {
  pack(task: PackTask): Promise<Packed>;
  fold(task: FoldTask): Promise<Folded>;
  /** Ends the thread; what it was doing rejects. */
  close(): Promise<void>;
}

/** An idle thread goes after so long. */
const IDLE_MS_MAX = 10_000;

export function createPacking(): Packing {
  // Compiled, the thread's file lies beside this one as .js; under a test runner that loads TypeScript, as .ts.
  const file = import.meta.url.endsWith('.ts') ? './packing-thread.ts' : './packing-thread.js';
  const pool = new Piscina({
    filename: new URL(file, import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: IDLE_MS_MAX,
    maxQueue: limits.packingJobsMax,
  });

  async function run<T>(name: 'pack' | 'fold', task: PackTask | FoldTask): Promise<T> {
    if (pool.queueSize >= limits.packingJobsMax) throw new StorageUnavailable('too many lists are being packed');
    return (await pool.run(task, { name })) as T;
  }

  return {
    pack: (task) => run('pack', task),
    fold: (task) => run('fold', task),
    close: () => pool.destroy(),
  };
}
