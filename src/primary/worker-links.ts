// The primary's side of the local socket: one connection a worker, and one for each run of the burgee command. It
// frames, names the sender, and hands each message to whoever is concerned.
import { chmodSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createFrameReader, decodeToPrimary, encodeToWorker } from '../ipc/frame.ts';
import type { ToPrimary, ToWorker } from '../ipc/messages.ts';
import { limits } from '../limits.ts';

const CLOSE_MS_MAX = 500;

export type Hello = Extract<ToPrimary, { type: 'hello' }>;

export interface WorkerLink {
  readonly hello: Hello;
  send(message: ToWorker): void;
  close(): void;
}

export interface WorkerLinks {
  listen(): Promise<void>;
  close(): Promise<void>;
}

export function createWorkerLinks(deps: {
  readonly socketPath: string;
  readonly onHello: (link: WorkerLink) => void;
  readonly onMessage: (link: WorkerLink, message: Exclude<ToPrimary, Hello>) => void;
  readonly onClose: (link: WorkerLink) => void;
  readonly warn: (fields: object, message: string) => void;
  /** Left out: limits.ipcBacklogBytesMax. */
  readonly backlogBytesMax?: number;
}): WorkerLinks {
  const { backlogBytesMax = limits.ipcBacklogBytesMax } = deps;
  const sockets = new Set<Socket>();
  const server: Server = createServer(accept);

  /** A worker that does not read is cut off: it dials again and is sent one snapshot in place of all it missed. */
  function send(socket: Socket, message: ToWorker): void {
    if (socket.writableLength > backlogBytesMax) socket.destroy();
    else socket.write(encodeToWorker(message));
  }

  function accept(socket: Socket): void {
    sockets.add(socket);
    let link: WorkerLink | undefined;
    const reader = createFrameReader(limits.ipcFrameBytesMax, (type, bytes) => {
      // What came in the same chunk as the message for which the link was cut.
      if (socket.destroyed) return;
      const message = decodeToPrimary(type, bytes);
      if (message === undefined) return;
      if (message.type === 'hello') {
        if (link !== undefined) throw new Error('a second hello');
        link = {
          hello: message,
          send: (reply) => send(socket, reply),
          close: () => socket.destroy(),
        };
        deps.onHello(link);
      } else if (link === undefined) throw new Error(`${message.type} before hello`);
      else deps.onMessage(link, message);
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        deps.warn({ err: error, worker_pid: link?.hello.pid }, 'a worker sent what this build cannot read');
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (link !== undefined) deps.onClose(link);
    });
  }

  return {
    async listen() {
      // Only the holder of DATA_DIR's lock comes here, so a socket file is a dead primary's.
      await rm(deps.socketPath, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.socketPath, resolve);
      });
      chmodSync(deps.socketPath, 0o600);
    },
    async close() {
      // What was answered last is to arrive; a worker that reads nothing is not waited for.
      for (const socket of sockets) socket.end();
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, CLOSE_MS_MAX);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      clearTimeout(cut);
    },
  };
}
