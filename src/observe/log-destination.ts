// Where log lines go. Answering must never wait for whoever reads the log: lines that a pipe or socket does not take
// are kept up to a bound, beyond it dropped and counted, and a reader that has gone is no error. Files and terminals
// are written to directly.
//
// The bite: O_NONBLOCK belongs to the open pipe, not to the process, and libuv clears it on an inherited stdout each
// time a child is spawned (uv__process_child_init), as Node does when it exits. Another process of ours could so turn
// our next write into one that blocks for ever. A pipe is therefore opened once more, which gives a description of our
// own; a socket cannot be, so its flag is set again right before each write.
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { limits } from '../limits.ts';

export interface LogDestination {
  /** One line with its newline. Never waits, never throws. */
  write(line: string): void;
  /** Tries for up to limits.logFlushMsMax to write what is kept. pino calls it after a fatal line. */
  flushSync(): void;
  /** Lines lost since the start. */
  readonly linesDropped: number;
  /** Bytes kept for a reader that is behind. */
  readonly backlogBytes: number;
}

interface Target {
  readonly fd: number;
  readonly beforeWrite: () => void;
}

// A reader at 64 KiB a pipe can so take 3 MB/s while it is behind; one that hangs costs fifty failed writes a second.
const RETRY_MS = 20;
const FLUSH_STEP_MS = 5;

/** `notice(count)` makes the line that says how many were dropped, once there is room again. */
export function createLogDestination(fd: number, notice: (linesDropped: number) => string): LogDestination {
  const target = targetOf(fd);
  const backlog: Uint8Array[] = [];
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let backlogBytes = 0;
  let linesDropped = 0;
  let linesToConfess = 0;
  let gone = false;
  let retrying = false;

  /** What is left to write; empty when the line is done with, written or lost. */
  function attempt(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    try {
      target.beforeWrite();
      while (rest.byteLength > 0) rest = rest.subarray(writeSync(target.fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return rest;
      gone = code === 'EPIPE';
      drop();
      return rest.subarray(rest.byteLength);
    }
    return rest;
  }

  function drop(): void {
    linesDropped++;
    linesToConfess++;
  }

  function keep(bytes: Uint8Array): void {
    backlog.push(bytes);
    backlogBytes += bytes.byteLength;
    retrySoon();
  }

  function retrySoon(): void {
    if (retrying) return;
    retrying = true;
    setTimeout(() => {
      retrying = false;
      drain();
      if (backlog.length > 0) retrySoon();
    }, RETRY_MS).unref();
  }

  function drain(): void {
    let done = 0;
    while (done < backlog.length && !gone) {
      const bytes = backlog[done] as Uint8Array;
      const rest = attempt(bytes);
      backlogBytes -= bytes.byteLength - rest.byteLength;
      if (rest.byteLength > 0) {
        backlog[done] = rest;
        break;
      }
      done++;
    }
    backlog.splice(0, done);
    if (gone) forget();
    else if (backlog.length === 0 && linesToConfess > 0) {
      const line = notice(linesToConfess);
      linesToConfess = 0;
      put(line);
    }
  }

  function forget(): void {
    linesDropped += backlog.length;
    backlog.length = 0;
    backlogBytes = 0;
  }

  function put(line: string): void {
    const bytes = Buffer.from(line);
    if (backlog.length > 0) {
      if (backlogBytes + bytes.byteLength > limits.logBacklogBytesMax) drop();
      else keep(bytes);
      return;
    }
    const rest = attempt(bytes);
    // The rest of a line that was begun is kept whatever its size: half a line would spoil the next one too.
    if (rest.byteLength > 0) keep(rest);
  }

  return {
    write(line) {
      if (gone) linesDropped++;
      else put(line);
    },
    flushSync() {
      const deadline = performance.now() + limits.logFlushMsMax;
      drain();
      while (backlog.length > 0 && performance.now() < deadline) {
        Atomics.wait(sleeper, 0, 0, FLUSH_STEP_MS);
        drain();
      }
    },
    get linesDropped() {
      return linesDropped;
    },
    get backlogBytes() {
      return backlogBytes;
    },
  };
}

function targetOf(fd: number): Target {
  const nothing = (): void => {};
  const stat = fstatSync(fd);
  if (stat.isFIFO()) {
    try {
      return { fd: openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK), beforeWrite: nothing };
    } catch {
      // Not Linux, or made by another user before a container dropped its rights: as with a socket.
    }
  }
  if (!stat.isFIFO() && !stat.isSocket()) return { fd, beforeWrite: nothing };
  const stream = fd === 1 ? process.stdout : fd === 2 ? process.stderr : undefined;
  const { _handle } = (stream ?? {}) as { _handle?: { setBlocking?: (blocking: boolean) => number } };
  return { fd, beforeWrite: () => void _handle?.setBlocking?.(false) };
}
