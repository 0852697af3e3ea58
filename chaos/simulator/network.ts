// How the processes of a node reach the store and Redis: each way takes time, and either way may be cut.
import type { Random } from '../../test/support/random.ts';
import type { Process, Timeline } from './timeline.ts';

export interface Network {
  /** One way, in milliseconds: short as a rule. */
  latencyMs(): number;
  /** Faults of the network itself end. */
  calm(): void;
  /** True for news that is lost. */
  loses(): boolean;
  /** True for news that comes twice. */
  doubles(): boolean;
  ask<T>(call: Call<T>): Promise<T>;
}

export interface Call<T> {
  readonly process: Process;
  readonly isCut: () => boolean;
  /** What the server does, in one step. */
  readonly work: () => T;
  readonly deadlineMs: number;
  /** `sent`: it may have been done. */
  readonly failure: (sent: boolean) => Error;
}

export function createNetwork(timeline: Timeline, random: Random): Network {
  let isCalm = false;

  function latencyMs(): number {
    const isSlow = !isCalm && random.below(40) === 0;
    return 0.2 + random.float() * (isSlow ? 300 : 3);
  }

  return {
    latencyMs,
    calm() {
      isCalm = true;
    },
    loses: () => !isCalm && random.below(5) === 0,
    doubles: () => !isCalm && random.below(10) === 0,
    ask({ process, isCut, work, deadlineMs, failure }) {
      return new Promise((resolve, reject) => {
        const fail = (sent: boolean): void => {
          const patienceMs = random.below(2) === 0 ? 1 : deadlineMs;
          timeline.after(patienceMs, process, () => reject(failure(sent)));
        };
        // What is on its way arrives though the sender is dead by then.
        timeline.after(latencyMs(), undefined, () => {
          if (isCut()) return fail(false);
          const answer = work();
          const backMs = latencyMs();
          timeline.after(backMs, process, () => {
            if (isCut() || backMs > deadlineMs) fail(true);
            else resolve(answer);
          });
        });
      });
    },
  };
}
