// Workers of a primary that has nothing to serve, for the store is away and there is no file. They are to listen all the
// same, and to say so in each answer; but not beside a worker that an earlier primary left and that serves: it would lose
// the connections that they get, and be drained as soon as they count as ready.

export interface EmptyWorkers {
  /** `revision`: what it serves, 0 for nothing. `listen`: tells it that there is nothing, so that it listens. */
  joined(pid: number, revision: number, listen: () => void): void;
  /** It serves what it was sent. */
  serves(pid: number): void;
  dead(pid: number): void;
}

/** `left`: pids of workers that an earlier primary left; until they have joined, or are dead, they may serve. */
export function createEmptyWorkers(deps: {
  readonly isEmpty: () => boolean;
  readonly left: readonly number[];
}): EmptyWorkers {
  const serving = new Set(deps.left);
  const waiting = new Map<number, () => void>();

  function letListen(): void {
    if (serving.size > 0 || !deps.isEmpty()) return;
    for (const listen of waiting.values()) listen();
    waiting.clear();
  }

  return {
    joined(pid, revision, listen) {
      if (revision > 0) serving.add(pid);
      else {
        serving.delete(pid);
        waiting.set(pid, listen);
      }
      letListen();
    },
    serves(pid) {
      serving.add(pid);
      waiting.delete(pid);
    },
    dead(pid) {
      serving.delete(pid);
      waiting.delete(pid);
      letListen();
    },
  };
}
