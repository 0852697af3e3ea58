// Resident memory of a process over a time: the highest, and how it went on.
import { mib, residentBytes } from './machine.ts';

const SAMPLE_MS = 50;

export interface MemoryWatch {
  /** Ends it, and says what was seen. */
  stop(): string;
}

export function watchMemory(pid: number): MemoryWatch {
  const samples: number[] = [residentBytes(pid)];
  const timer = setInterval(() => samples.push(residentBytes(pid)), SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      samples.push(residentBytes(pid));
      // By fourths of the time: memory that is not flat grows from each to the next.
      const fourth = Math.ceil(samples.length / 4);
      const highest = [0, 1, 2, 3].map((part) => Math.max(...samples.slice(part * fourth, (part + 1) * fourth), 0));
      return (
        `resident memory ${mib(samples[0] as number)} MiB before, highest in each fourth of the time ` +
        `${highest
          .filter((bytes) => bytes > 0)
          .map(mib)
          .join(', ')}, ${mib(samples.at(-1) as number)} at the end`
      );
    },
  };
}
