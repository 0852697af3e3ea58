// Sends a worker that refuses what it is sent the whole snapshot again: at once the first time, after a look at the files
// of ids the second, and from then on at growing intervals. A worker that can never read it is ended when a write waits
// for it, as any that is late.
import type { Clock } from '../run/clock.ts';

const AGAIN_MS_MIN = 50;
const AGAIN_MS_MAX = 5000;

export interface Resends {
  /** The worker refused what it was sent. */
  refused(pid: number): void;
  /** It took something. */
  acked(pid: number): void;
  dead(pid: number): void;
}

export function createResends(deps: {
  readonly resend: (pid: number) => void;
  /** What it refuses a second time it may refuse for a file of ids that is damaged. Never rejects. */
  readonly recheck: () => Promise<void>;
  readonly clock: Pick<Clock, 'after'>;
}): Resends {
  /** How often it refused since it last took something, and whether it is about to be sent the snapshot. */
  const refusing = new Map<number, { count: number; isDue: boolean }>();

  return {
    refused(pid) {
      const known = refusing.get(pid) ?? { count: 0, isDue: false };
      refusing.set(pid, known);
      if (known.isDue) return;
      known.count++;
      if (known.count === 1) return deps.resend(pid);
      known.isDue = true;
      const send = (): void => {
        known.isDue = false;
        if (refusing.get(pid) === known) deps.resend(pid);
      };
      const pauseMs = Math.min(AGAIN_MS_MAX, AGAIN_MS_MIN * 2 ** Math.min(known.count - 2, 30));
      void deps.recheck().then(() => deps.clock.after(pauseMs, send));
    },
    acked: (pid) => void refusing.delete(pid),
    dead: (pid) => void refusing.delete(pid),
  };
}
