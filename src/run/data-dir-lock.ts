// One primary per DATA_DIR: the embedded database has no lock of its own, and two of them in one folder destroy it. The
// lock is a file, `run/primary.lock`, and the proof that its owner lives is a socket only that owner can hold, so that a
// reused process number or another container's numbering decides nothing.
//
//   primary.lock           `pid start_time boot_id nonce` of the owner. Made with O_EXCL, replaced by rename
//   lock.sock              the owner's socket: connected is alive, refused is dead
//   lock-NONCE.sock        a starter's socket. It listens before the file exists and is renamed to lock.sock afterwards,
//                          so there is no moment in which an owner looks dead
//   primary.lock.NONCE     the right to replace the lock of dead owner NONCE, itself such a lock: of two starters that
//                          both find NONCE dead, one gets it, and a nonce never comes back
import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, delay, systemClock } from './clock.ts';
import { type LockSockets, openLockSockets } from './lock-socket.ts';
import { Owned } from './owned.ts';
import { bootId, formatIdentity, ownIdentity, type ProcessIdentity, parseIdentity } from './process-identity.ts';
import { codeOf, type RunDir, readText, writeNew } from './run-dir.ts';

/** A primary whose launcher died is on its way out; the next one waits this long for it before it refuses. */
const GRACE_MS = 3000;
const POLL_MS = 50;
/** An owner of another boot may be on another machine, whose sockets cannot be seen from here. */
const UNTOUCHED_MS = 30_000;
const TOUCH_MS = 5000;

export interface DataDirLock {
  /** False as soon as another process has taken DATA_DIR. Reads one small file. */
  stillHeld(): boolean;
  /** Gives DATA_DIR back. Close what uses it first. May be called twice. */
  close(): Promise<void>;
}

export interface LockTiming {
  readonly graceMs: number;
  readonly untouchedMs: number;
  readonly touchMs: number;
}

interface Holder {
  readonly identity: ProcessIdentity | undefined;
  /** The owner's nonce, or a name for this very content when it cannot be read. */
  readonly nonce: string;
  readonly touchedMs: number;
}

interface Starter {
  readonly nonce: string;
  readonly line: string;
  readonly temporary: string;
  readonly sockets: LockSockets;
  readonly clock: Clock;
  readonly timing: LockTiming;
  readonly onWait: (line: string) => void;
}

/**
 * Takes DATA_DIR for this process. Throws Owned, with the owner's pid, when a living process has it; waits up to 30 s, and
 * says so through `onWait`, when the lock is of another boot. `onLost` is called once if another process took it all the
 * same (this one was suspended for long, or somebody removed the file): stop using DATA_DIR at once.
 */
export async function lockDataDir(
  runDir: Pick<RunDir, 'path' | 'dataDir' | 'socketPath'>,
  options: {
    readonly onLost: () => void;
    readonly onWait?: (line: string) => void;
    readonly clock?: Clock;
    readonly timing?: Partial<LockTiming>;
  },
): Promise<DataDirLock> {
  const nonce = randomBytes(8).toString('hex');
  const clock = options.clock ?? systemClock;
  const path = join(runDir.path, 'primary.lock');
  const sockets = await openLockSockets(runDir, nonce);
  const starter: Starter = {
    nonce,
    line: `${formatIdentity(ownIdentity())} ${nonce}\n`,
    temporary: join(runDir.path, `lock-${nonce}.tmp`),
    sockets,
    clock,
    timing: { graceMs: GRACE_MS, untouchedMs: UNTOUCHED_MS, touchMs: TOUCH_MS, ...options.timing },
    onWait: options.onWait ?? (() => {}),
  };
  try {
    await takeWithin(path, starter, runDir.dataDir);
    sockets.promote();
  } catch (error) {
    await sockets.close();
    throw error;
  }
  await sweep(runDir.path, starter);
  return hold(path, starter, options.onLost);
}

async function takeWithin(path: string, starter: Starter, dataDir: string): Promise<void> {
  const deadlineMs = starter.clock.nowMs() + starter.timing.graceMs;
  for (;;) {
    const holder = await take(path, starter);
    if (holder === undefined) return;
    if (starter.clock.nowMs() >= deadlineMs) {
      const pid = holder.identity?.pid;
      const who = pid === undefined ? 'another process' : `the primary with pid ${pid}`;
      throw new Owned(
        'data_dir',
        pid,
        `DATA_DIR ${dataDir} is owned by ${who}; stop that service, or set DATA_DIR to another folder.`,
      );
    }
    await delay(starter.clock, POLL_MS);
  }
}

/** Makes `path` this starter's, or returns the living process that has it. */
async function take(path: string, starter: Starter): Promise<Holder | undefined> {
  for (;;) {
    if (create(path, starter.line)) return undefined;
    const holder = readHolder(path);
    if (holder === undefined) continue;
    const verdict = await judge(path, holder, starter);
    if (verdict === 'alive') return holder;
    if (verdict === 'changed') continue;
    const claim = `${path}.${holder.nonce}`;
    const rival = await take(claim, starter);
    if (rival !== undefined) return rival;
    try {
      // The claim may have come late, after a rival had finished and removed its own.
      if (readHolder(path)?.nonce !== holder.nonce) continue;
      writeNew(starter.temporary, starter.line, 'w');
      renameSync(starter.temporary, path);
      return undefined;
    } finally {
      rmSync(claim, { force: true });
    }
  }
}

async function judge(path: string, holder: Holder, starter: Starter): Promise<'alive' | 'dead' | 'changed'> {
  const alive = await starter.sockets.alive(holder.nonce);
  // Meanwhile that owner may have given the lock back, and what answered may be the next one's.
  if (readHolder(path)?.nonce !== holder.nonce) return 'changed';
  if (alive) return 'alive';
  if (holder.identity?.bootId === bootId()) return 'dead';
  const { clock, timing } = starter;
  // A touch that lies in the future is of a clock that is not ours: then only what is seen here counts.
  const ageMs = Date.now() - holder.touchedMs;
  const waitMs = ageMs < 0 ? timing.untouchedMs : timing.untouchedMs - ageMs;
  if (waitMs <= 0) return 'dead';
  const seconds = Math.ceil(waitMs / 1000);
  starter.onWait(`${path} is of another boot or unreadable: it is taken when nobody touches it for ${seconds} s`);
  const deadlineMs = clock.nowMs() + waitMs;
  while (clock.nowMs() < deadlineMs) {
    await delay(clock, POLL_MS);
    const now = readHolder(path);
    if (now?.nonce !== holder.nonce) return 'changed';
    if (now.touchedMs !== holder.touchedMs) return 'alive';
  }
  return 'dead';
}

function create(path: string, line: string): boolean {
  try {
    writeNew(path, line, 'wx');
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    const { mtimeMs, ino } = statSync(path);
    const text = (readText(path) ?? '').trim();
    const at = text.lastIndexOf(' ');
    const identity = parseIdentity(text.slice(0, Math.max(at, 0)));
    const nonce = text.slice(at + 1);
    if (identity !== undefined && /^[0-9a-f]{16}$/.test(nonce)) return { identity, nonce, touchedMs: mtimeMs };
    // Its writer is between making and filling it, or died there.
    return { identity: undefined, nonce: `unreadable-${ino}-${Math.trunc(mtimeMs)}`, touchedMs: mtimeMs };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function hold(path: string, starter: Starter, onLost: () => void): DataDirLock {
  let held = true;
  const stop = starter.clock.every(starter.timing.touchMs, () => {
    if (isOurs(path, starter)) return;
    held = false;
    stop();
    onLost();
  });
  return {
    stillHeld: () => held && namesUs(path, starter),
    async close() {
      stop();
      // The file goes first: while the socket answers nobody replaces it, so what is removed is ours. lock.sock stays
      // behind, refusing: the next owner may already have renamed its own into that place.
      if (held && readHolder(path)?.nonce === starter.nonce) rmSync(path, { force: true });
      held = false;
      await starter.sockets.close();
    },
  };
}

function isOurs(path: string, starter: Starter): boolean {
  if (!namesUs(path, starter)) return false;
  try {
    const now = new Date();
    utimesSync(path, now, now);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ENOENT';
  }
}

function namesUs(path: string, starter: Starter): boolean {
  try {
    return readHolder(path)?.nonce === starter.nonce;
  } catch (error) {
    // A full or read-only disk does not make another process the owner.
    return codeOf(error) !== 'ENOENT';
  }
}

// What starters that died left behind. Only the owner does this: a claim on a lock that is no longer there means nothing,
// even to the one who holds it.
async function sweep(folder: string, starter: Starter): Promise<void> {
  for (const entry of readdirSync(folder)) {
    if (entry.startsWith('primary.lock.') && !entry.startsWith(`primary.lock.${starter.nonce}`)) {
      rmSync(join(folder, entry), { force: true });
      continue;
    }
    const nonce = /^lock-([0-9a-f]{16})\.(?:sock|tmp)$/.exec(entry)?.[1];
    if (nonce === undefined || nonce === starter.nonce || (await starter.sockets.starts(nonce))) continue;
    rmSync(join(folder, entry), { force: true });
  }
}
