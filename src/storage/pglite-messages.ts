// What the thread that owns PGlite and its client say to each other. One statement is in flight at a time.
import type { SqlValue } from './sql.ts';

/** What pglite-thread.ts says to whoever loads it elsewhere. */
export const NOT_A_THREAD = 'pglite-thread runs as a worker thread';

export interface ThreadStart {
  /** The data directory of the service; the database lives in `pg` below it. */
  readonly dataDir: string;
  /** False leaves fsync off, for measuring what it costs. */
  readonly durable: boolean;
}

export type ToThread =
  | {
      readonly type: 'statement';
      readonly id: number;
      readonly text: string;
      readonly values: readonly SqlValue[] | undefined;
    }
  /** Checkpoint and vacuum where due. Never sent inside a transaction. */
  | { readonly type: 'upkeep'; readonly id: number; readonly vacuum: string | undefined }
  | { readonly type: 'close'; readonly id: number };

export type FromThread =
  | { readonly type: 'progress'; readonly line: string }
  | { readonly type: 'open' }
  /** `walBytes`: written to the WAL since the last checkpoint, whole pages counted each time. */
  | { readonly type: 'rows'; readonly id: number; readonly rows: Record<string, unknown>[]; readonly walBytes: number }
  | { readonly type: 'refused'; readonly id: number; readonly message: string; readonly code: string }
  /** The database is beyond use (PANIC, a trap in the WASM): the thread ends right after. */
  | { readonly type: 'broken'; readonly message: string };
