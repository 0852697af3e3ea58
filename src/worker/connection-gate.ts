// Who may open a connection: as many as the process has files for, and of one address as many as it may have, so that
// one client cannot take them all. A connection that is over is closed as it opens, which costs less than a request.
//
// The server library does not tell whose connection it was that closed. So connections are counted by address as they
// open, for a second, and what was open before that is asked of the system, once a second and only while there are
// enough that somebody could be over.
import { limits } from '../limits.ts';
import { addressGroup, isOwnMachine } from './address-group.ts';
import type { Tallies } from './tallies.ts';

const WINDOW_MS = 1000;

export interface ConnectionGate {
  /** Whether a connection that has just opened may stay. `openCount`: those of this worker, with it. */
  admits(address: string, openCount: number): boolean;
  /** Open connections from which on each is closed by its next reply, so that they turn over; see limits. */
  readonly crowdedCount: number;
  /** Begins to look. */
  start(): void;
  /** May be called twice. */
  close(): void;
}

/** What tests drive by hand. */
export interface DrivenConnectionGate extends ConnectionGate {
  /** The timer's work. */
  look(): Promise<void>;
}

export interface ConnectionGateDeps {
  /** Of one address on this node; 0: no limit. */
  readonly perAddress: number;
  /** Workers of this node: each sees its share of what an address opens. */
  readonly workers: number;
  /** Files that this process may have open; undefined: not known. */
  readonly filesMax: number | undefined;
  /** A proxy, whose connections are those of many clients. */
  readonly isExempt: (address: string) => boolean;
  /** Connections of all workers by address group. Never rejects. */
  readonly countByAddress: () => Promise<ReadonlyMap<string, number>>;
  readonly tallies: Pick<Tallies, 'count' | 'gauge'>;
}

export function createConnectionGate(deps: ConnectionGateDeps): DrivenConnectionGate {
  const { perAddress, workers, tallies } = deps;
  const totalMax = totalOf(deps.filesMax);
  let opened = new Map<string, number>();
  let held: ReadonlyMap<string, number> = new Map();
  let lastOpenCount = 0;
  let timer: NodeJS.Timeout | undefined;
  let isCounting = false;

  function isOver(address: string): boolean {
    if (perAddress === 0 || isOwnMachine(address) || deps.isExempt(address)) return false;
    const group = addressGroup(address);
    const openedHere = (opened.get(group) ?? 0) + 1;
    if ((held.get(group) ?? 0) + openedHere * workers > perAddress) return true;
    opened.set(group, openedHere);
    return false;
  }

  async function look(): Promise<void> {
    if (isCounting) return;
    // The other workers have about as many.
    const couldBeOver = perAddress > 0 && 2 * lastOpenCount * workers >= perAddress;
    isCounting = true;
    const counted = couldBeOver ? await deps.countByAddress() : new Map<string, number>();
    isCounting = false;
    held = counted;
    opened = new Map();
  }

  return {
    crowdedCount: Math.ceil(0.75 * totalMax),
    admits(address, openCount) {
      lastOpenCount = openCount;
      const reason = openCount > totalMax ? 'full' : isOver(address) ? 'address' : undefined;
      if (reason === undefined) return true;
      tallies.count(`burgee_connections_refused_${reason}_total`, 1);
      return false;
    },
    look,
    start() {
      timer ??= setInterval(() => void look(), WINDOW_MS).unref();
    },
    close() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

/** At least a few, so that a process with hardly any files still says what is wrong. */
function totalOf(filesMax: number | undefined): number {
  if (filesMax === undefined) return limits.connectionsMax;
  const reserved = Math.min(limits.filesReservedMax, Math.floor(filesMax / 4));
  return Math.max(8, Math.min(limits.connectionsMax, filesMax - reserved));
}
