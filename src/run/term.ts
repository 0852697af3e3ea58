// Numbers the primaries of a DATA_DIR in the order in which they came to own it, so that a worker can tell which of two is
// the later one: an owner that was frozen while another took its place does not know it yet.
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type RunDir, readText } from './run-dir.ts';

export interface Term {
  /** 1 and up. */
  readonly number: number;
  /**
   * A worker has heard of this term. One that is later than ours, while DATA_DIR is ours, means that the file is an older
   * one, restored with its folder: takes the next number, since no worker would follow this primary otherwise.
   */
  heard(term: number): void;
}

/**
 * Takes the next number. To be called while DATA_DIR's lock is held. Where the file is gone or cannot be read while workers
 * are on file it begins with the time of `wallClock`, in ms since 1970: they may have heard of any that was counted.
 */
export function takeTerm(
  runDir: Pick<RunDir, 'path' | 'workers'>,
  deps: {
    readonly wallClock: () => number;
    /** Does not return when DATA_DIR is another's by now. */
    readonly fence: () => void;
  },
): Term {
  const path = join(runDir.path, 'term');
  const text = (readText(path) ?? '').trim();
  let number = /^[1-9][0-9]{0,15}$/.test(text) && Number.isSafeInteger(Number(text) + 1) ? Number(text) + 1 : 0;
  // Milliseconds since 1970 are more than all terms that were counted from 1.
  if (number === 0) number = text === '' && runDir.workers().length === 0 ? 1 : deps.wallClock();
  write(path, number);
  return {
    get number() {
      return number;
    },
    heard(term) {
      if (!Number.isSafeInteger(term) || term <= number) return;
      deps.fence();
      number = term + 1;
      write(path, number);
    },
  };
}

/** On the disk before it returns: a term that was told to workers is never given to another primary. */
function write(path: string, number: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, `${number}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const folder = openSync(join(path, '..'), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
