// What a primary knows of one of its workers.
import type { ProcessIdentity } from '../run/process-identity.ts';

export interface Member {
  readonly identity: ProcessIdentity;
  /** undefined: it stands in until others serve, because it is old or there are too many, and is drained then. */
  slot: number | undefined;
  /** N of its worker-N.pid. */
  file: number;
  /** False while that file could not be written. */
  onFile: boolean;
  /** Own child: its exit is an event. */
  readonly child: boolean;
  readonly bornMs: number;
  /** Of another build or generation than its primary. */
  old: boolean;
  linked: boolean;
  everLinked: boolean;
  /** Awake time by which it must have joined (again). */
  joinByMs: number;
  /** Awake time of the last sign of life over its socket. */
  heardMs: number;
  /** Silence since then, less what it waited for a CPU; as of the last look. */
  countedSilentMs: number;
  /** Awake time by which it must be ready, if it is to replace another. */
  readyByMs: number;
  ready: boolean;
  /** From before this primary, not yet joined. */
  expected: boolean;
  /** Awake time at which it is killed; set once it was told to drain. */
  drainByMs: number | undefined;
  /** Why it is to be killed as soon as another serves. */
  condemned: string | undefined;
  killed: boolean;
}

/** It answers clients, and is to go on with it. */
export function serves(member: Member): boolean {
  return member.linked && member.ready && !member.killed && member.drainByMs === undefined;
}

/** It may still answer clients, linked or not: one that was adopted may have served long before it said a word here. */
export function mayServe({ linked, ready, child }: Member): boolean {
  return linked || ready || !child;
}
