// A primary ends with its launcher. One that was frozen when its launcher died could not, and holds DATA_DIR until
// somebody continues it: the next launcher ends it, because the service is worth more than a stopped process.
import { readFileSync, readlinkSync } from 'node:fs';
import { type Clock, delay } from '../run/clock.ts';
import { isAlive, type ProcessIdentity, signalProcess } from '../run/process-identity.ts';
import type { RunDir } from '../run/run-dir.ts';
import type { LauncherLog } from './launcher.ts';

/** A primary that only has to notice that its channel is closed is gone within this. */
const GRACE_MS = 1000;
/** SIGKILL takes effect at once, unless the kernel is busy for that process (a hanging disk). */
const KILL_MS_MAX = 1000;
const POLL_MS = 20;

/**
 * To be called when the launcher on file is dead. Waits for the primary on file to end by itself, then ends it; leaves one
 * alone whose launcher lives all the same (two launchers that start together can hide each other's file): DATA_DIR's lock
 * will then refuse. Resolves when that primary is gone or is left alone.
 */
export async function endStalePrimary(deps: {
  readonly runDir: Pick<RunDir, 'readPid'>;
  readonly clock: Clock;
  readonly log: Pick<LauncherLog, 'warn'>;
  readonly graceMs?: number;
}): Promise<void> {
  const { clock, log } = deps;
  const primary = deps.runDir.readPid('primary');
  if (primary === undefined || !isAlive(primary)) return;
  if (await goneWithin(primary, deps.graceMs ?? GRACE_MS, clock)) return;
  if (hasLauncher(primary)) return;
  log.warn({ primary_pid: primary.pid }, 'killing the primary of a launcher that is dead: it is stopped or hangs');
  signalProcess(primary, 'SIGKILL');
  await goneWithin(primary, KILL_MS_MAX, clock);
}

async function goneWithin(process: ProcessIdentity, limitMs: number, clock: Clock): Promise<boolean> {
  const deadlineMs = clock.nowMs() + limitMs;
  while (isAlive(process)) {
    if (clock.nowMs() >= deadlineMs) return false;
    await delay(clock, POLL_MS);
  }
  return true;
}

// A primary is its launcher's child; an orphan is a child of whoever collects orphans, which is no Node (where it is one,
// or where it cannot be seen, the primary is left alone).
function hasLauncher({ pid }: ProcessIdentity): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    return programOf(`${parent}`) === programOf(`${pid}`);
  } catch {
    return true;
  }
}

/** The file a process runs; undefined for one of another user, who is no launcher of ours. Throws when it is gone. */
function programOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
}
