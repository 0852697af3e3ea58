// One connection of the server on node:http, as far as more than one request of it has to be known: whoever is in flight
// is told when it goes, and it is ended so that the client can still read its last reply.
import type { Socket } from 'node:net';
import { limits } from '../../limits.ts';

/** A client that goes on sending after its last reply is read for this long, so that no reset overtakes the reply. */
const LINGER_MS = 10_000;
/** A client that neither takes the reply nor sends the body for this long is cut. */
export const STALLED_MS = 10_000;

/** What waits for an answer on a connection, or is being answered in chunks. */
export interface Pending {
  /** Its body is not whole, and nothing of its reply is out. */
  readonly isReceiving: boolean;
  /** The connection is gone. */
  abort(): void;
}

export class Connection {
  readonly socket: Socket;
  /** Its last reply has been decided on: what else comes in is not served. */
  closing = false;
  private readonly pending = new Set<Pending>();

  constructor(socket: Socket) {
    this.socket = socket;
    connections.set(socket, this);
  }

  get isBusy(): boolean {
    return this.pending.size > 0 || this.socket.writableLength > 0;
  }

  /** Whether nothing can be mistaken for a part of a reply: what comes in belongs to no request, or to the only one. */
  get isReceiving(): boolean {
    if (this.socket.writableLength > 0 || this.pending.size > 1) return false;
    for (const each of this.pending) if (!each.isReceiving) return false;
    return true;
  }

  /** Whether one more request may wait for those before it. */
  get hasRoom(): boolean {
    return this.pending.size < limits.pipelinedRequestsMax;
  }

  begin(pending: Pending): void {
    this.pending.add(pending);
  }

  settle(pending: Pending): void {
    this.pending.delete(pending);
  }

  abortAll(): void {
    for (const each of [...this.pending]) each.abort();
    this.pending.clear();
  }

  /** Starts to watch for a client that stands still. What goes on with the connection ends it again. */
  watch(): void {
    this.socket.setTimeout(STALLED_MS);
  }

  unwatch(): void {
    this.socket.setTimeout(0);
  }

  /** The library's way to end a connection after its last reply would reset one whose client is still sending. */
  linger(): void {
    this.socket.destroySoon = () => endGently(this.socket, '');
  }
}

const connections = new WeakMap<Socket, Connection>();

/** That of a socket which the server has told of. */
export function connectionOf(socket: Socket): Connection {
  return connections.get(socket) ?? new Connection(socket);
}

/** Sends the last bytes and says that no more come; reads on until the client has gone too, for a while. */
export function endGently(socket: Socket, text: string): void {
  if (socket.writableEnded || socket.destroyed) return;
  socket.end(text);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
