// How the parts are put together, and three ways to put one of them together wrongly: the simulator has to find each.
import type { SnapshotHead } from '../../src/snapshot/item.ts';
import { overLower, type Put } from './model-redis.ts';

export type Break = 'gap' | 'epoch' | 'hot-copy';
export const BREAKS: readonly Break[] = ['gap', 'epoch', 'hot-copy'];

export interface Wiring {
  /** Workers check what a delta starts from, and what comes of it. */
  readonly checksGaps: boolean;
  /** Whether a hot copy may be written over another. */
  readonly mayPut: Put;
  readonly understand: (head: SnapshotHead) => SnapshotHead;
  /** Workers hold what src/worker/holder.ts makes of it, in place of a reader by the same rules. */
  readonly usesHolder: boolean;
}

export function wire(broken: Break | undefined, usesHolder: boolean): Wiring {
  return {
    checksGaps: broken !== 'gap',
    mayPut: broken === 'hot-copy' ? () => true : overLower,
    // Every store is taken for the first one.
    understand: broken === 'epoch' ? (head) => ({ ...head, epoch: 'epoch-1' }) : (head) => head,
    usesHolder: usesHolder && broken !== 'gap',
  };
}
