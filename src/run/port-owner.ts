// One service per port. With SO_REUSEPORT the kernel lets anybody listen, so two services would each get a share of the
// connections and answer from different stores, and no probe of the port could tell. Names in Linux's abstract socket
// namespace are exclusive, belong to the same network namespace as the port, and vanish with their process:
//
//   \0burgee:PORT                               held by the primary
//   \0burgee:PORT:HASH_OF_DATA_DIR:PID          held by each worker; it outlives its primary
//
// Elsewhere than on Linux nothing is held and nothing refused.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { abstractName, askOwner, type Hold, holdWithin, NOTHING_HELD, tryHold } from './abstract-name.ts';
import { type Clock, systemClock } from './clock.ts';
import { Owned } from './owned.ts';

/** A primary that is just ending gives its name back within this time. */
const GRACE_MS = 1000;

/**
 * For the primary, before it starts workers. `dataDir` absolute and free of links (RunDir.dataDir). Port 0 holds nothing.
 * Throws Owned when another primary, or a worker of another DATA_DIR, is on the port.
 */
export async function holdPrimaryPort(
  port: number,
  dataDir: string,
  options: { readonly clock?: Clock; readonly graceMs?: number } = {},
): Promise<Hold> {
  if (process.platform !== 'linux' || port === 0) return NOTHING_HELD;
  const name = abstractName(`burgee:${port}`);
  const hold = await holdWithin(name, options.clock ?? systemClock, options.graceMs ?? GRACE_MS);
  if (hold === undefined) {
    const pid = await askOwner(name);
    const who = pid === undefined ? 'another service' : `the service whose primary has pid ${pid}`;
    throw new Owned('port', pid, `port ${port} is owned by ${who}; stop it, or set PORT to another port.`);
  }
  // After the name is ours: no other primary can start workers on this port any more.
  const stranger = findStranger(await readNames(), port, dataDirHash(dataDir));
  if (stranger === undefined) return hold;
  await hold.close();
  throw new Owned(
    'port',
    stranger,
    `port ${port} is still served by a worker with pid ${stranger} that belongs to another DATA_DIR; ` +
      'end that process (SIGTERM), start the service with its DATA_DIR, or set PORT to another port.',
  );
}

/** For a worker, before it listens. Never refuses: a worker that cannot be named still serves. */
export async function holdWorkerPort(port: number, dataDir: string, pid: number = process.pid): Promise<Hold> {
  if (process.platform !== 'linux' || port === 0) return NOTHING_HELD;
  return (await tryHold(abstractName(`burgee:${port}:${dataDirHash(dataDir)}:${pid}`))) ?? NOTHING_HELD;
}

/** What of a DATA_DIR stands in a worker's name: 16 hex digits. */
export function dataDirHash(dataDir: string): string {
  return createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
}

/** The pid of a worker of another DATA_DIR on `port` in the text of /proc/net/unix; undefined when there is none. */
export function findStranger(unixSockets: string, port: number, ownHash: string): number | undefined {
  // `Num RefCount Protocol Flags Type St Inode Path`; @ stands for each zero byte of an abstract name.
  for (const match of unixSockets.matchAll(/ @burgee:([0-9]+):([0-9a-f]+):([0-9]+)@*$/gm)) {
    const [, onPort, hash, pid] = match;
    if (Number(onPort) === port && hash !== ownHash) return Number(pid);
  }
  return undefined;
}

async function readNames(): Promise<string> {
  try {
    return await readFile('/proc/net/unix', 'latin1');
  } catch {
    // Hidden by a hardened container: the primary's own name still stands against a second service.
    return '';
  }
}
