// How long a worker may be silent, absent or starting before its primary replaces it. All in milliseconds.

export interface SupervisorTiming {
  /** How often the supervisor looks. */
  readonly tickMs: number;
  /** Four beats of 250 ms. */
  readonly silentMs: number;
  /** For a worker from before this primary, or one whose socket closed, to join (again). */
  readonly rejoinMs: number;
  /** For a forked worker to join, and for a replacement to be ready before another worker may be killed. */
  readonly firstJoinMs: number;
  /** For a worker that joined to be ready, when it is to replace one that serves. */
  readonly readyMs: number;
  /** Between the close of a dying worker's socket and its death. */
  readonly deathMs: number;
  /** On top of a drain's deadline, which the worker keeps itself. */
  readonly drainMarginMs: number;
  /** First delayed restart of a slot; the one before comes at once. Doubles. */
  readonly restartMsMin: number;
  readonly restartMsMax: number;
  /** A worker that lived this long is not in a crash loop. */
  readonly longLifeMs: number;
}

export const SUPERVISOR_TIMING: SupervisorTiming = {
  tickMs: 100,
  silentMs: 1000,
  rejoinMs: 2000,
  firstJoinMs: 15_000,
  readyMs: 60_000,
  deathMs: 20,
  drainMarginMs: 500,
  restartMsMin: 200,
  restartMsMax: 10_000,
  longLifeMs: 30_000,
};
