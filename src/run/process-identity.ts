// Who a process is, beyond its number: numbers are used again. A pid with its start time and the boot it belongs to names
// one process for ever, so a file that outlived its process is never taken for another's.
import { existsSync, readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, decimal, as in /proc/PID/stat; "0" where there is no /proc. */
  readonly startTime: string;
  /** Random per boot; "-" where there is no /proc. */
  readonly bootId: string;
}

const HAS_PROC = existsSync('/proc/self/stat');
const BOOT_ID = HAS_PROC ? readBootId() : '-';
/** `pid start_time boot_id`; a pid of 0 or below would address a whole process group. */
const IDENTITY_PATTERN = /^([1-9][0-9]{0,9}) ([0-9]{1,20}) ([0-9A-Za-z-]{1,64})$/;

/** The boot this process runs in; "-" where there is no /proc. */
export function bootId(): string {
  return BOOT_ID;
}

/** The living process with this number; undefined when there is none, when it is a zombie or dead, or cannot be read. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!Number.isSafeInteger(pid) || pid < 1) return undefined;
  if (!HAS_PROC) return signalReaches(pid) ? { pid, startTime: '0', bootId: BOOT_ID } : undefined;
  const stat = readStat(pid);
  return typeof stat === 'string' ? readIdentity(pid, stat) : undefined;
}

/** Not gone and no text: this process, or the system, is out of files. */
function readStat(pid: number): string | { readonly gone: boolean } {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { gone: code === 'ENOENT' || code === 'ESRCH' };
  }
}

function readIdentity(pid: number, stat: string): ProcessIdentity | undefined {
  // The second field is the command's name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTime = fields[19];
  if (state === undefined || startTime === undefined || state === 'Z' || state === 'X' || state === 'x')
    return undefined;
  return { pid, startTime, bootId: BOOT_ID };
}

/** Read once: a process that ran out of files since is who it was. */
let own: ProcessIdentity | undefined;

/** This process. Throws where /proc exists but cannot be read. */
export function ownIdentity(): ProcessIdentity {
  own ??= identify(process.pid);
  if (own === undefined) throw new Error(`/proc/${process.pid}/stat cannot be read`);
  return own;
}

/**
 * True while exactly this process lives: not a zombie, not another with its number, not one of another boot. Where that
 * cannot be read, one of this boot counts as alive while its number is in use: nobody is to be buried for a lack of files.
 */
export function isAlive(identity: ProcessIdentity): boolean {
  const { pid } = identity;
  if (!HAS_PROC) return signalReaches(pid) && sameProcess({ pid, startTime: '0', bootId: BOOT_ID }, identity);
  const stat = readStat(pid);
  if (typeof stat !== 'string') return !stat.gone && identity.bootId === BOOT_ID && signalReaches(pid);
  const found = readIdentity(pid, stat);
  return found !== undefined && sameProcess(found, identity);
}

export function sameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId;
}

/** Sends `signal` if exactly this process still lives; false when it does not, or may not be signalled. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  const found = identify(identity.pid);
  if (found === undefined || !sameProcess(found, identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch {
    return false;
  }
}

/** `pid start_time boot_id`, without a line end. */
export function formatIdentity(identity: ProcessIdentity): string {
  return `${identity.pid} ${identity.startTime} ${identity.bootId}`;
}

/** Reads what formatIdentity wrote, surrounding white space aside; undefined for anything else. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  const match = IDENTITY_PATTERN.exec(text.trim());
  if (match === null) return undefined;
  const [, pid, startTime, boot] = match;
  if (pid === undefined || startTime === undefined || boot === undefined) return undefined;
  return { pid: Number(pid), startTime, bootId: boot };
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    // A hardened container may hide it; start times then still tell most reused numbers apart.
    return '-';
  }
}

function signalReaches(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, it is only not ours.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
