// A client of the WebSocket that keeps what it is sent and hands it out by what it says, so that a test waits for the
// message it means and for nothing else.
import { request } from 'node:http';
import { WebSocket } from 'ws';

/** A message of the server; whatever its type has beside these is read by name. */
export interface ServerMessage {
  readonly type: string;
  readonly id?: number | null;
  readonly [name: string]: unknown;
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface SocketClient {
  /** JSON messages that nobody has taken yet, in order. */
  readonly messages: readonly ServerMessage[];
  /** A string as it is, bytes as a binary frame, anything else as JSON. */
  send(message: string | Uint8Array | object): void;
  /** Takes the first JSON message that fits, of those that came or the next one that does. Rejects when it is closed before. */
  next(fits?: (message: ServerMessage) => boolean): Promise<ServerMessage>;
  /** The same by type and id. */
  nextOf(type: string, id?: number | null): Promise<ServerMessage>;
  /** Takes the first binary message, of those that came or the next one. Rejects when it is closed before. */
  nextBinary(): Promise<Uint8Array>;
  /** Sends a `ping` and resolves with its `pong`: what was sent before has been looked at. */
  ping(id?: number): Promise<ServerMessage>;
  /** How it ended, whoever ended it. */
  readonly closed: Promise<Closing>;
  close(code?: number): void;
  readonly socket: WebSocket;
}

export interface SocketOptions {
  /** In X-API-Key; undefined: none. */
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Waiter<T> {
  readonly fits: (value: T) => boolean;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** Resolves once it is open; the welcome is among its messages. Rejects when the upgrade is refused. */
export function openSocket(port: number, options: SocketOptions = {}): Promise<SocketClient> {
  const headers = { ...(options.key === undefined ? {} : { 'x-api-key': options.key }), ...options.headers };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/ws`, { headers, perMessageDeflate: false });
  const text = createBox<ServerMessage>();
  const binary = createBox<Uint8Array>();
  socket.on('message', (message: Buffer, isBinary) => {
    if (isBinary) binary.put(new Uint8Array(message));
    else text.put(JSON.parse(message.toString('utf8')) as ServerMessage);
  });
  const closed = new Promise<Closing>((resolve) => {
    socket.on('close', (code, reason) => {
      const error = new Error(`closed with ${code} ${reason.toString()}`);
      text.end(error);
      binary.end(error);
      resolve({ code, reason: reason.toString() });
    });
  });
  const nextOf = (type: string, id?: number | null): Promise<ServerMessage> =>
    text.next((message) => message.type === type && (id === undefined || message.id === id));
  const send = (message: string | Uint8Array | object): void =>
    socket.send(typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message));
  const client: SocketClient = {
    messages: text.values,
    send,
    next: (fits = () => true) => text.next(fits),
    nextOf,
    nextBinary: () => binary.next(() => true),
    ping(id = 4_294_967_295) {
      send({ type: 'ping', id });
      return nextOf('pong', id);
    },
    closed,
    close: (code) => socket.close(code),
    socket,
  };
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => resolve(client));
  });
}

function createBox<T>() {
  const values: T[] = [];
  const waiters = new Set<Waiter<T>>();
  let ended: Error | undefined;
  return {
    values,
    put(value: T): void {
      for (const waiter of waiters) {
        if (!waiter.fits(value)) continue;
        waiters.delete(waiter);
        waiter.resolve(value);
        return;
      }
      values.push(value);
    },
    next(fits: (value: T) => boolean): Promise<T> {
      const index = values.findIndex(fits);
      if (index >= 0) return Promise.resolve(values.splice(index, 1)[0] as T);
      if (ended !== undefined) return Promise.reject(ended);
      return new Promise((resolve, reject) => void waiters.add({ fits, resolve, reject }));
    },
    end(error: Error): void {
      ended = error;
      for (const waiter of waiters) waiter.reject(error);
      waiters.clear();
    },
  };
}

export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What a handshake is answered with that is not let in. Headers that are '' are left out. Rejects when it is let in. */
export function refusedSocket(
  port: number,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<Refusal> {
  const handshake = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(handshake).filter(([, value]) => value !== ''));
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/api/v1/ws', method, headers: sent, agent: false });
    asked.on('upgrade', (_reply, socket) => {
      socket.destroy();
      reject(new Error('the handshake was let in'));
    });
    asked.on('response', (reply) => {
      let body = '';
      reply.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
