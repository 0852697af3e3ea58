// A second proof beside the lock file that DATA_DIR has one owner. A lock is a file, and files get removed: by a tidy-up
// that takes them for left over, or by somebody who wants a service that hangs out of the way. Two embedded databases
// in one folder then destroy it, even if one of them is frozen and does no more than wake up and end. So the owner also
// holds a name that nobody can remove:
//
//   \0burgee:data:DEVICE:INODE
//
// It says nothing about other containers, which have namespaces of their own: between those the lock file stands alone.
import { statSync } from 'node:fs';
import { abstractName, askOwner, type Hold, holdWithin, NOTHING_HELD } from './abstract-name.ts';
import { type Clock, systemClock } from './clock.ts';
import { type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import { Owned } from './owned.ts';

/** A primary that is just ending gives its name back within this time. */
const GRACE_MS = 3000;

/** As lockDataDir, and the name with it. */
export async function takeDataDir(...[runDir, options]: Parameters<typeof lockDataDir>): Promise<DataDirLock> {
  const lock = await lockDataDir(runDir, options);
  let name: Hold;
  try {
    name = await holdName(runDir.dataDir, options.clock ?? systemClock);
  } catch (error) {
    await lock.close();
    throw error;
  }
  return {
    stillHeld: lock.stillHeld,
    async close() {
      await lock.close();
      await name.close();
    },
  };
}

async function holdName(dataDir: string, clock: Clock): Promise<Hold> {
  if (process.platform !== 'linux') return NOTHING_HELD;
  const { dev, ino } = statSync(dataDir);
  const name = abstractName(`burgee:data:${dev}:${ino}`);
  const hold = await holdWithin(name, clock, GRACE_MS);
  if (hold !== undefined) return hold;
  const pid = await askOwner(name);
  const who = pid === undefined ? 'a process that does not answer' : `the primary with pid ${pid}`;
  throw new Owned(
    'data_dir',
    pid,
    `DATA_DIR ${dataDir} is still used by ${who}, though its lock file was removed; end that process, or set DATA_DIR to another folder.`,
  );
}
