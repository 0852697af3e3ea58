// How long a worker has been silent, less the time in which it was not let run: a machine that is too busy is no reason to
// kill a worker and start another, which makes it busier.
import { type CpuReading, type ReadCpu, waitedBetween } from '../run/cpu-wait.ts';

/** Silence of this long is the end, whatever its reason. */
const SILENT_MS_MAX = 10_000;
/** Shorter silence is not looked into: a beat comes each 250 ms. */
const LOOK_AFTER_MS = 300;

export interface Silence {
  /** A sign of life. */
  heard(pid: number): void;
  /** To be called on a timer; milliseconds that count as silence. `silentMs` is what passed since the last sign of life. */
  counted(pid: number, silentMs: number): number;
  dead(pid: number): void;
}

interface Watched {
  reading: CpuReading;
  readAtMs: number;
  waitedMs: number;
}

export function createSilence(readCpu: ReadCpu): Silence {
  const watched = new Map<number, Watched>();

  function waitedMs(pid: number, silentMs: number): number {
    const reading = readCpu(pid);
    if (reading === undefined) return 0;
    const known = watched.get(pid);
    if (known === undefined) {
      watched.set(pid, { reading, readAtMs: silentMs, waitedMs: 0 });
      return 0;
    }
    known.waitedMs += waitedBetween(known.reading, reading, silentMs - known.readAtMs);
    known.reading = reading;
    known.readAtMs = silentMs;
    return known.waitedMs;
  }

  return {
    heard: (pid) => void watched.delete(pid),
    counted(pid, silentMs) {
      if (silentMs < LOOK_AFTER_MS || silentMs > SILENT_MS_MAX) return silentMs;
      return silentMs - waitedMs(pid, silentMs);
    },
    dead: (pid) => void watched.delete(pid),
  };
}
