// The sockets that prove a lock's owner alive: the kernel closes them with the process, however it ends.
import { closeSync, constants, openSync, renameSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { DataDirUnusable } from './owned.ts';
import { codeOf, type RunDir, SOCKET_PATH_BYTES_MAX } from './run-dir.ts';

/** A process that is stopped accepts no connection, but the kernel queues it at once: nothing takes this long. */
const CONNECT_MS_MAX = 2000;

export interface LockSockets {
  /** Renames this starter's socket to lock.sock: from now on it is the owner's. */
  promote(): void;
  /** True when the starter or owner with this nonce, or any owner, answers. */
  alive(nonce: string): Promise<boolean>;
  /** True when a starter with this nonce, not yet an owner, answers. */
  starts(nonce: string): Promise<boolean>;
  /** May be called twice. */
  close(): Promise<void>;
}

/** Listens on `lock-NONCE.sock`. Throws DataDirUnusable when the file system takes no sockets. */
export async function openLockSockets(
  runDir: Pick<RunDir, 'path' | 'socketPath'>,
  nonce: string,
): Promise<LockSockets> {
  const folder = openShortFolder(runDir);
  const own = folder.at(`lock-${nonce}.sock`);
  const owners = folder.at('lock.sock');
  const server = createServer((socket) => socket.destroy());
  let closing: Promise<void> | undefined;
  try {
    await listen(server, own);
  } catch (error) {
    folder.close();
    const reason = (error as Error).message;
    throw new DataDirUnusable(
      `no socket can be made in ${runDir.path} (${reason}); put DATA_DIR on a local file system.`,
      {
        cause: error,
      },
    );
  }
  return {
    promote: () => renameSync(own, owners),
    // In this order: an owner that renames its socket between the two looks is found by the second.
    alive: async (other) => (await answers(folder.at(`lock-${other}.sock`))) || (await answers(owners)),
    starts: (other) => answers(folder.at(`lock-${other}.sock`)),
    close() {
      closing ??= new Promise<void>((resolve) => server.close(() => resolve())).finally(() => folder.close());
      return closing;
    },
  };
}

/** Listens in this very process (in a cluster worker `exclusive` keeps the socket out of the primary's hands). */
export async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', () => {});
      resolve();
    });
  });
  server.unref();
}

interface ShortFolder {
  at(name: string): string;
  close(): void;
}

// A long path is shortened through the folder's open descriptor rather than moved to the temporary directory: two
// containers that share DATA_DIR do not share that, and would each find the other dead.
function openShortFolder(runDir: Pick<RunDir, 'path' | 'socketPath'>): ShortFolder {
  const longest = join(runDir.path, `lock-${'0'.repeat(16)}.sock`);
  if (Buffer.byteLength(longest) <= SOCKET_PATH_BYTES_MAX)
    return { at: (name) => join(runDir.path, name), close: () => {} };
  if (process.platform !== 'linux') return { at: (name) => runDir.socketPath(name), close: () => {} };
  const descriptor = openSync(runDir.path, constants.O_RDONLY | constants.O_DIRECTORY);
  return { at: (name) => `/proc/self/fd/${descriptor}/${name}`, close: () => closeSync(descriptor) };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (alive: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(alive);
    };
    const timer = setTimeout(() => settle(true), CONNECT_MS_MAX);
    socket.on('connect', () => settle(true));
    socket.on('error', (error) => {
      const code = codeOf(error);
      // Only what proves that nobody listens. A full queue (EAGAIN) or a socket we may not open (EACCES) is somebody's.
      settle(code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK');
    });
  });
}
