// How a server ends: it takes no new connections, closes each with its next reply, and waits for what was asked and for
// its WebSockets, whichever library it is built on.
import { quietTurn, until } from './quiet-turn.ts';
import type { Shared } from './shared.ts';
import type { Transport } from './transport.ts';

/** A process that ends while a client's last messages are still coming in would reset what it sent that client. */
const SOCKET_LINGER_MS = 100;

export interface Draining {
  readonly shared: Shared<{ drain(): void }>;
  readonly sockets: { readonly socketCount: number; readonly lastSocketEndMs: number };
  readonly closeListenSocket: () => void;
  /** Connections of HTTP. */
  readonly connectionCount: () => number;
  /** One of them waits for its answer, or takes it. */
  readonly isBusy: () => boolean;
  readonly isClosed: () => boolean;
  readonly close: () => void;
}

export function createDrain(server: Draining): Transport['drain'] {
  const { shared, sockets } = server;
  let idleMs = Number.POSITIVE_INFINITY;
  let byMs = Number.POSITIVE_INFINITY;
  let startedMs = 0;
  let drained: Promise<void> | undefined;

  function isOver(nowMs: number): boolean {
    if (server.isClosed() || nowMs >= byMs) return true;
    const isIdle = nowMs - Math.max(startedMs, shared.lastRequestMs) >= idleMs;
    const isAsked = server.connectionCount() > 0 && (!isIdle || server.isBusy());
    const hasSockets = sockets.socketCount > 0 || nowMs - sockets.lastSocketEndMs < SOCKET_LINGER_MS;
    return !(isAsked || hasSockets);
  }

  async function leave(): Promise<void> {
    await quietTurn();
    // In this order: who is told to come back on another connection must not find this process listening.
    server.closeListenSocket();
    shared.draining = true;
    shared.closing = true;
    for (const stream of [...shared.endless]) stream.drain();
    startedMs = Date.now();
    do {
      await until(isOver);
      // A request that waits to be read when its connection is closed would be reset: there may be one by now.
      await quietTurn();
    } while (!isOver(Date.now()));
    server.close();
  }

  return (idleMsMax, msMax) => {
    idleMs = Math.min(idleMs, idleMsMax);
    byMs = Math.min(byMs, Date.now() + msMax);
    drained ??= leave();
    return drained;
  };
}
