// Shares a worker between jobs that take long: each runs a slice at a time, the owners in turn, so that one huge batch
// does not hold up the worker's other clients.

export interface Job {
  /**
   * Works for about a millisecond at most. True: done, and whoever waits was answered by it. Must not throw.
   */
  step(): boolean;
}

export interface Turns {
  /**
   * Runs `job` at once as far as this turn of the loop has time left and nobody waits; else it waits its turn.
   * @param owner whose jobs share one place in the round: a connection, or the request itself
   */
  run(owner: object, job: Job): void;
  /** Jobs that wait. */
  readonly waiting: number;
}
