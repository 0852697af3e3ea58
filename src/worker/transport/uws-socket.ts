// Hot path.
// A WebSocket on uWebSockets.js. What the build in the lockfile does, found by trying, and what follows from it here:
//
// * Any request with a Sec-WebSocket-Key of 24 characters is taken for an upgrade, whatever else it says: what RFC 6455
//   asks of one is checked here, and a request that falls short goes to the fallback like any other.
// * Text that is not UTF-8, reserved bits and opcodes, broken fragmentation, a control frame over 125 bytes and a message
//   over `maxPayloadLength` cut the connection without a close frame (the client sees 1006). Frames without a mask are
//   read as if they had one. Fragments are put together, and a client's close frame is answered.
// * `maxBackpressure` 0 means that nothing is ever dropped: whoever sends watches `unsentBytes`. The pongs that answer a
//   client's pings are unsent bytes too, and only a handler of pings can see them grow.
// * `end` calls the close handler at once and takes the object away, so that a client which does not read its last bytes
//   could not be cut any more: with bytes unsent the close frame waits for them here. After `end` the library waits for
//   the client to close, no longer than its timeout.
// * An exception in a handler ends the process.
import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket, WebSocketBehavior } from 'uWebSockets.js';
import { limits } from '../../limits.ts';
import { asksForWebSocket } from './handshake.ts';
import type { Socket, SocketOwner, SocketRoute } from './socket.ts';
import { ENDING_MS_MAX, INTERNAL_ERROR, MESSAGE_BYTES_FACTOR, shortened } from './socket-end.ts';

/** What the library puts on the object it hands to every handler. */
interface Mounted {
  readonly socket: UwsSocket;
}

/** What the sockets of one server have in common. */
export interface SocketsShared {
  /** Open or being closed. */
  socketCount: number;
  /** Date.now() when the last one was gone. */
  lastSocketEndMs: number;
  readonly onFailure: (error: unknown) => void;
}

/** The handlers of one route but `upgrade`, which is the transport's. */
export function socketBehavior(route: SocketRoute): WebSocketBehavior<Mounted> {
  return {
    compression: 0,
    maxPayloadLength: route.messageBytesMax * MESSAGE_BYTES_FACTOR,
    maxBackpressure: 0,
    idleTimeout: route.idleSeconds,
    sendPingsAutomatically: true,
    open: (ws) => ws.getUserData().socket.open(ws),
    message: (ws, message, isBinary) => ws.getUserData().socket.receive(message, isBinary),
    drain: (ws) => ws.getUserData().socket.drain(),
    ping: (ws) => ws.getUserData().socket.pinged(),
    close: (ws, code) => ws.getUserData().socket.over(code),
  };
}

/** Whether this request asks for a WebSocket. */
export function asksForUpgrade(req: HttpRequest): boolean {
  // Not getMethod, which puts it into lower case for whoever asks afterwards.
  return asksForWebSocket(req.getCaseSensitiveMethod(), (name) => req.getHeader(name));
}

export class UwsSocket implements Socket {
  private readonly owner: SocketOwner;
  private readonly shared: SocketsShared;
  /** undefined: not open yet, or gone. */
  private ws: WebSocket<Mounted> | undefined;
  /** Set while the close frame waits for unsent bytes. */
  private ending: { readonly code: number; readonly reason: string; readonly timer: NodeJS.Timeout } | undefined;

  constructor(owner: SocketOwner, shared: SocketsShared) {
    this.owner = owner;
    this.shared = shared;
  }

  /** Answers the handshake; `open` is called before this returns. */
  upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    // No extension and no subprotocol: a client that offers some learns that none was chosen.
    res.upgrade<Mounted>({ socket: this }, req.getHeader('sec-websocket-key'), '', '', context);
  }

  send(message: string | Uint8Array, isBinary: boolean): void {
    if (this.ending === undefined) this.ws?.send(message as string, isBinary, false);
  }

  together(work: () => void): void {
    if (this.ws === undefined) work();
    else this.ws.cork(work);
  }

  unsentBytes(): number {
    return this.ws?.getBufferedAmount() ?? 0;
  }

  end(code: number, reason: string): void {
    if (this.ws === undefined || this.ending !== undefined) return;
    const words = shortened(reason);
    if (this.ws.getBufferedAmount() === 0) {
      this.ws.end(code, words);
      return;
    }
    const timer = setTimeout(() => this.close(), ENDING_MS_MAX);
    this.ending = { code, reason: words, timer };
  }

  close(): void {
    this.ws?.close();
  }

  open(ws: WebSocket<Mounted>): void {
    this.ws = ws;
    this.shared.socketCount += 1;
    this.guard(() => this.owner.opened(this));
  }

  receive(message: ArrayBuffer, isBinary: boolean): void {
    if (this.ending !== undefined) return;
    try {
      this.owner.message(new Uint8Array(message), isBinary);
    } catch (error) {
      this.fail(error);
    }
  }

  drain(): void {
    if (this.ending === undefined) {
      this.guard(() => this.owner.drained());
      return;
    }
    if (this.unsentBytes() > 0) return;
    const { code, reason } = this.ending;
    this.ws?.end(code, reason);
  }

  pinged(): void {
    if (this.unsentBytes() > limits.socketUnsentBytesMax) this.close();
    else if (this.ending === undefined) this.guard(() => this.owner.pinged());
  }

  over(code: number): void {
    clearTimeout(this.ending?.timer);
    this.ws = undefined;
    this.shared.socketCount -= 1;
    this.shared.lastSocketEndMs = Date.now();
    this.guard(() => this.owner.closed(code));
  }

  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.shared.onFailure(error);
    this.end(INTERNAL_ERROR, 'something went wrong here');
  }
}
