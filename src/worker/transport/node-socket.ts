// A WebSocket on `ws`. What breaks the protocol, and a message over `maxPayload`, is answered with a close frame that
// says so (1002, 1007, 1009); pings are answered, and a client's close frame too.
import type { Socket as NetSocket } from 'node:net';
import type { WebSocket } from 'ws';
import { limits } from '../../limits.ts';
import type { Socket, SocketOwner } from './socket.ts';
import { ENDING_MS_MAX, INTERNAL_ERROR, shortened } from './socket-end.ts';

/** What `idleSeconds` are divided into; half of them silent, a client is pinged, and cut when all were. */
export const IDLE_TURNS = 8;

const TEXT = { binary: false, compress: false };
const BINARY = { binary: true, compress: false };

/** What the sockets of one server have in common. */
export interface NodeSockets {
  /** Open or being closed. */
  socketCount: number;
  /** Date.now() when the last one was gone. */
  lastSocketEndMs: number;
  /** Also those that are closed, as long as their connections are not. */
  readonly connected: Set<NodeSocket>;
  readonly onFailure: (error: unknown) => void;
}

export class NodeSocket implements Socket {
  private readonly owner: SocketOwner;
  private readonly shared: NodeSockets;
  private readonly ws: WebSocket;
  private readonly connection: NetSocket;
  private readonly flushed = (): void => this.drain();
  /** Its owner knows it, and has not been told of its end. */
  private owned = true;
  /** Set by `end`: what else comes in is not read. */
  private ending: { readonly code: number; readonly timer: NodeJS.Timeout } | undefined;
  /** Bytes were left unsent: the owner is told when some have gone. */
  private behind = false;
  private bytesRead = 0;
  private silentTurns = 0;

  constructor(owner: SocketOwner, shared: NodeSockets, ws: WebSocket, connection: NetSocket) {
    this.owner = owner;
    this.shared = shared;
    this.ws = ws;
    this.connection = connection;
    shared.socketCount += 1;
    shared.connected.add(this);
    ws.on('message', (message: Buffer, isBinary) => this.receive(message, isBinary));
    ws.on('ping', () => this.pinged());
    // Pongs are sent by the library, and nobody is told when they have gone.
    connection.on('drain', this.flushed);
    // What it was is the close event's to say.
    ws.on('error', () => {});
    ws.on('close', (code) => this.gone(code));
    this.guard(() => owner.opened(this));
  }

  send(message: string | Uint8Array, isBinary: boolean): void {
    if (this.ending !== undefined || this.ws.readyState !== this.ws.OPEN) return;
    // What is not sent at once is kept, and the bytes belong to whoever has made them.
    const kept = typeof message === 'string' ? message : Buffer.from(message);
    this.ws.send(kept, isBinary ? BINARY : TEXT, this.flushed);
    if (this.connection.writableLength > 0) this.behind = true;
  }

  together(work: () => void): void {
    this.connection.cork();
    try {
      work();
    } finally {
      this.connection.uncork();
    }
  }

  unsentBytes(): number {
    return this.connection.writableLength;
  }

  end(code: number, reason: string): void {
    if (this.ending !== undefined || !this.owned) return;
    const timer = setTimeout(() => this.close(), ENDING_MS_MAX);
    timer.unref();
    this.ending = { code, timer };
    this.ws.close(code, shortened(reason));
    if (this.unsentBytes() === 0) this.over(code);
  }

  close(): void {
    this.ws.terminate();
  }

  /** Called IDLE_TURNS times in the time that a client may be silent for. */
  turn(): void {
    const { bytesRead } = this.connection;
    this.silentTurns = bytesRead === this.bytesRead ? this.silentTurns + 1 : 0;
    this.bytesRead = bytesRead;
    if (this.silentTurns >= IDLE_TURNS) this.close();
    else if (this.silentTurns === IDLE_TURNS / 2 && this.ws.readyState === this.ws.OPEN) this.ws.ping();
  }

  private receive(message: Buffer, isBinary: boolean): void {
    if (this.ending !== undefined) return;
    this.guard(() =>
      this.owner.message(new Uint8Array(message.buffer, message.byteOffset, message.byteLength), isBinary),
    );
  }

  private drain(): void {
    if (!this.behind || !this.owned) return;
    this.behind = this.unsentBytes() > 0;
    if (this.ending === undefined) this.guard(() => this.owner.drained());
    else if (!this.behind) this.over(this.ending.code);
  }

  private pinged(): void {
    // The pong may be what waits.
    if (this.unsentBytes() > 0) this.behind = true;
    if (this.unsentBytes() > limits.socketUnsentBytesMax) this.close();
    else if (this.ending === undefined) this.guard(() => this.owner.pinged());
  }

  /** The connection is. */
  private gone(code: number): void {
    clearTimeout(this.ending?.timer);
    this.shared.connected.delete(this);
    this.over(code);
  }

  /** The last that its owner hears of it: what is left is to wait for the client's own close frame. */
  private over(code: number): void {
    if (!this.owned) return;
    this.owned = false;
    this.shared.socketCount -= 1;
    this.shared.lastSocketEndMs = Date.now();
    this.guard(() => this.owner.closed(code));
  }

  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.shared.onFailure(error);
      this.end(INTERNAL_ERROR, 'something went wrong here');
    }
  }
}
