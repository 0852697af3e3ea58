// A WebSocket that evaluates all flags again and again, and holds a subscription whose states must not go back.
import type { Socket } from 'node:net';
import { ADMIN_KEY } from '../service.ts';
import { openSocket, type ServerMessage, type SocketClient } from '../socket-client.ts';
import { ownerOf, pause } from './node.ts';
import type { ReaderDeps } from './readers.ts';

export interface SocketReader {
  readonly pid: number;
  /** Resolves when the socket is closed, or told goodbye. */
  loop(): Promise<void>;
  close(): void;
}

const SUBSCRIPTION_ID = 1;
const THINK_MS_MAX = 20;

type Results = Readonly<Record<string, { readonly version: number; readonly enabled: boolean }>>;

/** undefined when it is refused, or closed before its worker is known. */
export async function openSocketReader(deps: ReaderDeps, stopped: () => boolean): Promise<SocketReader | undefined> {
  const { node, ledger, touched, flagIds } = deps;
  const openedMs = performance.now();
  let client: SocketClient;
  let pid: number | undefined;
  try {
    client = await openSocket(node.port, { key: ADMIN_KEY });
    await client.nextOf('welcome');
    pid = ownerOf(node.port, localPortOf(client), node.workerPids());
  } catch {
    return undefined;
  }
  if (pid === undefined) {
    client.close();
    return undefined;
  }
  const where = `worker ${pid}, socket`;
  let lastRevision = 0;
  let toldRevision = 0;
  let leaving = false;

  function takePushes(): void {
    for (let i = client.messages.length - 1; i >= 0; i--) if (client.messages[i]?.type === 'goodbye') leaving = true;
  }
  async function subscribe(): Promise<void> {
    client.send({ type: 'subscribe', id: SUBSCRIPTION_ID, user_id: 'user-1', flags: flagIds });
    for (;;) {
      const told = await client.next(({ type, id }) => id === SUBSCRIPTION_ID && /result|change/.test(type));
      const revision = told['revision'] as number;
      if (revision < toldRevision)
        ledger.violate('revision went back', `${toldRevision} to ${revision}: ${where}, subscription`);
      toldRevision = revision;
    }
  }
  async function evaluate(id: number): Promise<void> {
    const floor = ledger.floor(pid);
    client.send({ type: 'evaluate', id, user_id: 'user-1', flags: flagIds });
    let result: ServerMessage;
    try {
      result = await client.nextOf('result', id);
    } catch (error) {
      if (!stopped()) touched.failed(pid, openedMs, `socket evaluate: ${(error as Error).message}`);
      return;
    }
    const revision = result['revision'] as number;
    if (revision < lastRevision) ledger.violate('revision went back', `${lastRevision} to ${revision}: ${where}`);
    lastRevision = revision;
    ledger.saw({ pid, revision, flags: new Map(Object.entries(result['results'] as Results)) }, floor, where);
  }

  return {
    pid,
    async loop() {
      // Ends with the socket.
      subscribe().catch(() => {});
      for (let id = SUBSCRIPTION_ID + 1; !stopped() && !leaving && isOpen(client); id++) {
        await evaluate(id);
        takePushes();
        await pause(Math.random() * THINK_MS_MAX);
      }
    },
    close: () => client.close(),
  };
}

function isOpen(client: SocketClient): boolean {
  return client.socket.readyState === client.socket.OPEN;
}

/** The library does not tell; it keeps the socket under this name. */
function localPortOf(client: SocketClient): number {
  return (client.socket as unknown as { readonly _socket: Socket })._socket.localPort ?? 0;
}
