// The snapshot file of a node, as src/storage/snapshot-file.ts writes it: a temporary file, then two renames; a crash may
// come between any two of them.
import type { SnapshotContent, SnapshotHead } from '../../src/snapshot/item.ts';
import type { SnapshotFile } from '../../src/storage/tiers.ts';
import type { Process, Timeline } from './timeline.ts';

const REST_MS = 5000;
const STEP_MS = 2;

interface Kept {
  readonly content: SnapshotContent;
  readonly confirmedAtMs: number;
}

/** What outlives the processes. */
export interface Disk {
  newest: Kept | undefined;
  previous: Kept | undefined;
}

export function createModelFile(timeline: Timeline, process: Process, disk: Disk): SnapshotFile {
  let isBusy = false;
  let held: SnapshotHead | undefined;
  let waiting: { readonly content: () => SnapshotContent; readonly head: SnapshotHead } | undefined;

  function consider(): void {
    if (waiting === undefined || isBusy) return;
    isBusy = true;
    const { head, content } = waiting;
    waiting = undefined;
    const confirmedAtMs = timeline.nowMs;
    const over = (): void => {
      timeline.after(REST_MS, process, () => {
        isBusy = false;
        consider();
      });
    };
    if (held?.epoch === head.epoch && held.revision === head.revision && held.sumRest === head.sumRest) {
      if (disk.newest !== undefined) disk.newest = { ...disk.newest, confirmedAtMs };
      return over();
    }
    const kept = { content: content(), confirmedAtMs };
    const keepsPrevious = held !== undefined;
    timeline.after(STEP_MS, process, () => {
      if (keepsPrevious) {
        disk.previous = disk.newest;
        disk.newest = undefined;
      }
      timeline.after(STEP_MS, process, () => {
        disk.newest = kept;
        held = kept.content.head;
        over();
      });
    });
  }

  return {
    async read() {
      held = disk.newest?.content.head;
      return disk.newest ?? disk.previous;
    },
    write(head, content) {
      waiting = { head, content };
      consider();
    },
    close: () => Promise.resolve(),
  };
}
