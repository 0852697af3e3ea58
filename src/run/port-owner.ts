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
import { connect, createServer } from 'node:net';
import { type Clock, delay, systemClock } from './clock.ts';
import { listen } from './lock-socket.ts';
import { Owned } from './owned.ts';
import { codeOf } from './run-dir.ts';

/** Size of sun_path. Filled up with zeros ourselves: whether a Node release sends the rest or cuts it off then matters no more. */
const NAME_BYTES = 108;
/** A primary that is just ending gives its name back within this time. */
const GRACE_MS = 1000;
const POLL_MS = 50;
const ASK_MS_MAX = 500;

export interface PortHold {
  /** Gives the name back. May be called twice. */
  close(): Promise<void>;
}

const NOTHING: PortHold = { close: async () => {} };

/**
 * For the primary, before it starts workers. `dataDir` absolute and free of links (RunDir.dataDir). Port 0 holds nothing.
 * Throws Owned when another primary, or a worker of another DATA_DIR, is on the port.
 */
export async function holdPrimaryPort(
  port: number,
  dataDir: string,
  options: { readonly clock?: Clock; readonly graceMs?: number } = {},
): Promise<PortHold> {
  if (process.platform !== 'linux' || port === 0) return NOTHING;
  const clock = options.clock ?? systemClock;
  const deadlineMs = clock.nowMs() + (options.graceMs ?? GRACE_MS);
  const name = abstractName(`burgee:${port}`);
  let hold = await tryHold(name);
  while (hold === undefined && clock.nowMs() < deadlineMs) {
    await delay(clock, POLL_MS);
    hold = await tryHold(name);
  }
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
export async function holdWorkerPort(port: number, dataDir: string, pid: number = process.pid): Promise<PortHold> {
  if (process.platform !== 'linux' || port === 0) return NOTHING;
  return (await tryHold(abstractName(`burgee:${port}:${dataDirHash(dataDir)}:${pid}`))) ?? NOTHING;
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

function abstractName(name: string): string {
  return `\0${name}`.padEnd(NAME_BYTES, '\0');
}

async function tryHold(name: string): Promise<PortHold | undefined> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid}\n`, () => socket.destroy());
  });
  try {
    await listen(server, name);
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= new Promise((resolve) => server.close(() => resolve()));
      return closing;
    },
  };
}

// The owner says its pid to whoever connects; one that is frozen, or no Burgee at all, says nothing.
function askOwner(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(name);
    const settle = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const pid = Number(/^([1-9][0-9]{0,9})\n/.exec(said)?.[1]);
      resolve(Number.isSafeInteger(pid) ? pid : undefined);
    };
    const timer = setTimeout(settle, ASK_MS_MAX);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      said += chunk;
      if (said.length >= 16) settle();
    });
    socket.on('end', settle);
    socket.on('error', settle);
  });
}

async function readNames(): Promise<string> {
  try {
    return await readFile('/proc/net/unix', 'latin1');
  } catch {
    // Hidden by a hardened container: the primary's own name still stands against a second service.
    return '';
  }
}
