// DATA_DIR/snapshot.brgs: the last snapshot that the store confirmed, so that a node starts and serves with everything else
// away. Its time of change is when the store confirmed it. Whatever befalls the file costs no more than that help.
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { CancelTimer, Clock } from '../run/clock.ts';
import { createSeldom } from '../run/seldom.ts';
import type { HashBytes } from '../snapshot/checksum.ts';
import { encodeSnapshotSlowly, openEnvelope } from '../snapshot/encoding.ts';
import type { SnapshotContent, SnapshotHead } from '../snapshot/item.ts';
import { createSnapshotState } from '../snapshot/state.ts';
import type { SnapshotFile } from './tiers.ts';

const NAME = 'snapshot.brgs';
const PREVIOUS_NAME = 'snapshot.previous.brgs';
/** Between two writes, from the end of one to the beginning of the next, in milliseconds. */
const REST_MS = 5000;

export interface SnapshotFileDeps {
  /** DATA_DIR. */
  readonly folder: string;
  readonly hash: HashBytes;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly warn: (fields: object, message: string) => void;
}

interface Confirmed {
  readonly head: SnapshotHead;
  readonly content: () => SnapshotContent;
  readonly atMs: number;
}

export function createSnapshotFile({ folder, hash, clock, wallClock, warn }: SnapshotFileDeps): SnapshotFile {
  const path = join(folder, NAME);
  const previous = join(folder, PREVIOUS_NAME);
  const alarm = createSeldom(clock, warn);
  /** What the file holds; undefined: not known, or nothing that is worth being kept as the generation before. */
  let held: SnapshotHead | undefined;
  let newest: Confirmed | undefined;
  let writing: Promise<void> = Promise.resolve();
  let isWriting = false;
  let cancelRest: CancelTimer | undefined;
  let closed = false;

  async function write({ head, content, atMs }: Confirmed): Promise<void> {
    const at = new Date(atMs);
    try {
      if (held !== undefined && isSame(held, head)) await utimes(path, at, at);
      else {
        const whole = content();
        const bytes = await encodeSnapshotSlowly(whole, hash, turn);
        await writeDurably(folder, bytes, at, held !== undefined);
        held = whole.head;
      }
      alarm.over();
    } catch (error) {
      alarm.say({ err: error, path }, 'the snapshot file could not be written; the one before is kept');
      // Somebody may have removed it: the next is written whole.
      held = undefined;
    }
  }

  function consider(): void {
    if (newest === undefined || isWriting || cancelRest !== undefined) return;
    const confirmed = newest;
    newest = undefined;
    isWriting = true;
    writing = write(confirmed).then(() => {
      isWriting = false;
      if (closed) return;
      cancelRest = clock.after(REST_MS, () => {
        cancelRest = undefined;
        consider();
      });
    });
  }

  return {
    async read() {
      for (const candidate of [path, previous]) {
        try {
          const found = await readVerified(candidate, hash);
          if (found === undefined) continue;
          if (candidate === path) held = found.content.head;
          return found;
        } catch (error) {
          warn({ err: error, path: candidate }, 'a snapshot file cannot be used');
        }
      }
      return undefined;
    },
    write(head, content) {
      if (closed) return;
      newest = { head, content, atMs: wallClock() };
      consider();
    },
    async close() {
      closed = true;
      cancelRest?.();
      cancelRest = undefined;
      await writing;
      consider();
      await writing;
    },
  };
}

/** Undefined: there is none. Rejects, with why, for one that is not to be believed. */
async function readVerified(
  path: string,
  hash: HashBytes,
): Promise<{ readonly content: SnapshotContent; readonly confirmedAtMs: number } | undefined> {
  // What is no file (a pipe, a link to elsewhere) is not to be waited for, nor followed.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { mtimeMs } = await refuseForeign(file);
    const envelope = openEnvelope(await file.readFile(), hash);
    if (envelope.kind !== 'snapshot') throw new Error('it holds a delta, not a snapshot');
    const content = { head: envelope.head, items: [...envelope.puts] };
    createSnapshotState(content);
    return { content, confirmedAtMs: mtimeMs };
  } finally {
    await file.close();
  }
}

/** Whoever can write it can make himself admin. That others can read it is mended. */
async function refuseForeign(file: FileHandle): Promise<{ readonly mtimeMs: number }> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new Error('it is no regular file');
  const own = process.geteuid?.();
  if (own !== undefined && stat.uid !== own) throw new Error(`it belongs to user ${stat.uid}, not to ${own}`);
  if ((stat.mode & 0o002) !== 0) throw new Error('anybody can write it');
  // A volume may be given to a group by whoever mounts it.
  if ((stat.mode & 0o077) !== 0) await file.chmod(0o600).catch(() => {});
  return stat;
}

/** Whole on the disk under another name first; each step leaves at least one generation that is whole. */
async function writeDurably(folder: string, bytes: Uint8Array, at: Date, keepsPrevious: boolean): Promise<void> {
  const path = join(folder, NAME);
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.utimes(at, at);
      await file.sync();
    } finally {
      await file.close();
    }
    if (keepsPrevious) await rename(path, join(folder, PREVIOUS_NAME));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isSame(a: SnapshotHead, b: SnapshotHead): boolean {
  return a.epoch === b.epoch && a.revision === b.revision && a.sumKeys === b.sumKeys && a.sumRest === b.sumRest;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
