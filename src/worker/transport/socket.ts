// What the worker asks of a server library's WebSockets: an upgrade that can be refused, messages in, messages out.
import type { Exchange } from './transport.ts';

/** One open WebSocket. Everything may be called at any time: once it is gone nothing happens. */
export interface Socket {
  /** One whole message. Nothing is ever dropped: whoever sends watches `unsentBytes`. */
  send(message: string | Uint8Array, isBinary: boolean): void;
  /** What `work` sends before it returns leaves together: many small messages cost a tenth. */
  together(work: () => void): void;
  /** Bytes that are kept for the client because it does not take them. */
  unsentBytes(): number;
  /** Sends what is unsent and a close frame, then closes. `reason`: at most 123 bytes. */
  end(code: number, reason: string): void;
  /** Cuts the connection. */
  close(): void;
}

/** The owner of a socket: what the socket's events are told to. */
export interface SocketOwner {
  /** Called first, once. */
  opened(socket: Socket): void;
  /** `message` is valid until this returns. */
  message(message: Uint8Array, isBinary: boolean): void;
  /** The client took bytes: see `unsentBytes`. */
  drained(): void;
  /** It pinged, and was answered: pongs that the client does not take are unsent bytes too. */
  pinged(): void;
  /** Called last, once, whoever closed it. */
  closed(code: number): void;
}

export interface SocketRoute {
  /** Of a message. One that is a little larger is still delivered, so that it can be refused in words; past that the connection is cut. */
  readonly messageBytesMax: number;
  /** A connection that is silent for this long, pongs included, is cut. The library pings in time. */
  readonly idleSeconds: number;
  /** Who owns the socket that this request asks for; undefined: the exchange was answered instead. */
  accept(exchange: Exchange): SocketOwner | undefined;
}
