// How a primary is told to end: to drain the service, or to leave the workers to the next primary. What is asked for while
// the store still opens waits until there is something to drain: orphaned workers, say.

export interface Ending {
  /** Drain goes before leave, also when it is asked for later. */
  drain(reason: string): void;
  leave(reason: string): void;
  /** From now on what was or will be asked for is done, once. */
  begin(end: (reason: string, isLeaving: boolean) => Promise<void>): void;
  /** Something was asked for. */
  asked(): boolean;
  /** A drain was asked for, be it while this primary was leaving. */
  isDraining(): boolean;
}

export function createEnding(): Ending {
  let reason: string | undefined;
  let draining = false;
  let end: ((reason: string, isLeaving: boolean) => Promise<void>) | undefined;

  function ask(why: string, isDrain: boolean): void {
    draining ||= isDrain;
    reason ??= why;
    run();
  }

  function run(): void {
    if (end === undefined || reason === undefined) return;
    const once = end;
    end = undefined;
    void once(reason, !draining);
  }

  return {
    drain: (why) => ask(why, true),
    leave: (why) => ask(why, false),
    begin(toEnd) {
      end = toEnd;
      run();
    },
    asked: () => reason !== undefined,
    isDraining: () => draining,
  };
}
