// What a worker tells its primary four times a second, whether anything happened or not: that it lives, what it serves,
// and what it has counted. Four missed beats and the primary takes it for hung.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Limiter } from './limiter.ts';
import type { PrimaryLink, SnapshotHolder } from './serving.ts';
import type { Tallies } from './tallies.ts';
import type { UnknownFlagCounts } from './unknown-flags.ts';

const BEAT_MS = 250;
const LOOP_DELAY_RESOLUTION_MS = 20;

export interface Heartbeat {
  /** From within a turn of the loop that does not come to the timer: a worker with much to do is not one that hangs. */
  beatIfDue(): void;
}

/** Runs as long as the process. */
export function startHeartbeat(deps: {
  readonly link: Pick<PrimaryLink, 'send' | 'connected'>;
  readonly holder: SnapshotHolder;
  readonly limiter: Pick<Limiter, 'changedUses'>;
  readonly tallies: Pick<Tallies, 'gauge' | 'report'>;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'takeReport'>;
}): Heartbeat {
  const { link, holder, limiter, tallies, unknownFlags } = deps;
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  loopDelay.enable();
  let beatMs = 0;

  function beat(): void {
    beatMs = performance.now();
    link.send({ type: 'beat', revision: holder.current?.revision ?? 0, leases: limiter.changedUses() });
  }
  setInterval(() => {
    const revision = holder.current?.revision ?? 0;
    beat();
    tallies.gauge('burgee_worker_snapshot_revision', revision);
    tallies.gauge('burgee_worker_snapshot_stale_seconds', holder.staleSeconds());
    tallies.gauge('burgee_worker_event_loop_delay_seconds', loopDelay.max / 1e9);
    loopDelay.reset();
    link.send({ type: 'tally', report: tallies.report() });
    // What cannot be told now is told with what comes to it.
    const unknown = link.connected ? unknownFlags.takeReport() : undefined;
    if (unknown !== undefined) link.send({ type: 'unknown_flags', report: unknown });
  }, BEAT_MS);
  return {
    beatIfDue() {
      if (performance.now() - beatMs >= BEAT_MS) beat();
    },
  };
}
