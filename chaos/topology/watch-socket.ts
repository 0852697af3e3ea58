// A WebSocket that subscribes to one flag and says when it was told of a revision.
import { WebSocket } from 'ws';

export interface WatchingSocket {
  /** Resolves when an answer of this revision or a later one was pushed. */
  told(revision: number): Promise<void>;
  close(): void;
}

/** Resolves when its subscription has its first answer. Rejects when the socket closes before. */
export async function watchSocket(port: number, key: string, flagId: string): Promise<WatchingSocket> {
  const headers = { 'x-api-key': key };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/ws`, { headers, perMessageDeflate: false });
  const waiting = new Set<() => void>();
  let revision = 0;
  socket.on('message', (bytes: Buffer) => {
    const message = JSON.parse(bytes.toString('utf8')) as { type: string; revision?: number };
    if (message.type === 'welcome')
      socket.send(JSON.stringify({ type: 'subscribe', id: 1, user_id: 'user-1', flags: [flagId] }));
    if (message.type !== 'result' && message.type !== 'change') return;
    revision = message.revision ?? 0;
    for (const look of waiting) look();
  });
  const watching: WatchingSocket = {
    told: (wanted) =>
      new Promise((resolve, reject) => {
        socket.once('close', (code) => reject(new Error(`the socket closed with ${code}`)));
        socket.once('error', reject);
        const look = (): void => {
          if (revision >= wanted) resolve();
        };
        waiting.add(look);
        look();
      }),
    close: () => socket.close(),
  };
  await watching.told(1);
  return watching;
}
