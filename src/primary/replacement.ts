// Which worker is started and which one goes while the workers of a node are replaced: one for one, each new one in
// addition to those that serve, and an old one only once enough others do. So at no moment fewer serve than before, and
// a new build whose workers do not get ready changes nothing. The one exception: a port that
// cannot be shared, see inTheWay.
//
//   old  serving  serving            a new one starts in addition
//   old  serving  serving   new      it serves: one old one drains
//   old  serving  draining  new      ... and so on
//
// Old ones hold no slot. So a new one that dies is started again as any other is, after its slot's pause.
import { type Member, serves } from './member.ts';

/** Draining workers take memory: at most this many processes, and half of those wanted, are there in addition. */
const ADDITIONAL_MIN = 2;

/** How many workers may be started now, whatever slots are free; Infinity where nobody is to be replaced. */
export function roomFor(members: readonly Member[], wanted: number): number {
  const standIns = members.filter(isStandIn);
  if (standIns.length === 0) return Number.POSITIVE_INFINITY;
  const held = members.filter(({ slot, killed }) => slot !== undefined && !killed).length;
  // One that is linked and does not listen is no loss to anybody.
  const standing = standIns.filter((member) => serves(member) || !member.linked).length;
  const additional = Math.max(ADDITIONAL_MIN, Math.ceil(wanted / 2));
  return Math.min(wanted + 1 - held - standing, wanted + additional - members.length);
}

/**
 * The next worker to drain: one that stands in while `wanted` others serve. First those of another build or generation,
 * of these first those that are behind: they hold up every write.
 */
export function nextToGo(
  members: readonly Member[],
  wanted: number,
  isBehind: (pid: number) => boolean,
): Member | undefined {
  const serving = members.filter(serves).length;
  const urgency = (member: Member): number => (member.old ? 2 : 0) + (isBehind(member.identity.pid) ? 1 : 0);
  return members
    .filter((member) => isStandIn(member) && member.linked && serving - (serves(member) ? 1 : 0) >= wanted)
    .sort((a, b) => urgency(b) - urgency(a))[0];
}

/** Those that hold the port which one that is prepared cannot share. */
export function inTheWay(members: readonly Member[]): readonly Member[] {
  return members.filter((member) => isStandIn(member) && member.linked);
}

export function isStandIn({ slot, killed, drainByMs }: Member): boolean {
  return slot === undefined && !killed && drainByMs === undefined;
}
