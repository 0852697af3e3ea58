// The transport on node:http and ws, for where the native library cannot be loaded. What their parser refuses by itself
// never becomes a request and is answered here; what it takes goes the way of every transport's requests.
import { readFileSync } from 'node:fs';
import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket as NetSocket } from 'node:net';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { errors } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { sharesPortByNode } from '../../run/server-library.ts';
import { createDrain } from './drain.ts';
import { asksForWebSocket } from './handshake.ts';
import { Connection, connectionOf, endGently, STALLED_MS } from './node-connection.ts';
import { addressOf, headerOf, NodeExchange } from './node-exchange.ts';
import { Patterns } from './node-patterns.ts';
import type { NodeReplyStream } from './node-reply-stream.ts';
import { IDLE_TURNS, NodeSocket, type NodeSockets } from './node-socket.ts';
import { createShared, standingOf } from './shared.ts';
import type { SocketRoute } from './socket.ts';
import { MESSAGE_BYTES_FACTOR } from './socket-end.ts';
import { TLS_CIPHERS } from './tls-ciphers.ts';
import type { Handler, TlsFiles, Transport, TransportOptions } from './transport.ts';

/** How often the server looks for requests whose head does not come to its end. */
const HEAD_LOOK_MS = 1000;
/** As many pings as fit into one read. */
const PENDING_PONGS_MAX = 16_384;
/** As ws asks of it: 16 bytes in base64. */
const WEB_SOCKET_KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Makes a server that does not listen yet. Throws when the files of TLS cannot be read. */
export function createNodeTransport(options: TransportOptions): Transport {
  const shared = createShared<NodeReplyStream>();
  const sockets: NodeSockets = {
    socketCount: 0,
    lastSocketEndMs: 0,
    connected: new Set(),
    onFailure: (error) => options.onFailure(error, undefined),
  };
  /** Of any kind: a handshake of TLS, HTTP, a WebSocket. */
  let openCount = 0;
  const connections = new Set<Connection>();
  const patterns = new Patterns();
  const socketRoutes = new Map<string, MountedRoute>();
  let fallback: Handler = () => {};
  let closed = false;
  const live = new NodeExchange(shared);

  const server = createHttpServer(options.tls, (path) => socketRoutes.has(path));
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', (socket: NetSocket) => {
    const connection = new Connection(socket);
    connections.add(connection);
    socket.once('close', () => {
      connections.delete(connection);
      connection.abortAll();
    });
  });
  server.prependListener('connection', (socket: NetSocket) => {
    count(1);
    socket.once('close', () => count(-1));
    if (!options.admits(addressOf(socket), openCount)) socket.destroy();
  });
  server.on('request', (req, res) => receive(req, res, false));
  server.on('checkContinue', (req, res) => receive(req, res, true));
  server.on('upgrade', upgrade);
  server.on('clientError', refuseUnread);

  function count(change: number): void {
    openCount += change;
    shared.closing = shared.draining || openCount > options.crowdedCount;
  }
  function receive(req: IncomingMessage, res: ServerResponse, awaitsContinue: boolean): void {
    const connection = connectionOf(req.socket);
    // What comes after the last reply may be the body of a request that was refused.
    if (connection.closing) return;
    if (!connection.hasRoom) {
      req.socket.destroy();
      return;
    }
    live.begin(req, res, awaitsContinue);
    // Whatever follows was meant for somebody else.
    if (live.method() === 'CONNECT') live.closeAfterReply();
    run(patterns.find(live.method(), live.path(), live.parameters) ?? fallback);
  }
  function run(handler: Handler): void {
    try {
      handler(live);
      if (live.open) throw new Error('a handler neither replied nor held its exchange');
    } catch (error) {
      fail(error);
    }
  }
  /** An exception here would end the process, and so would an exchange left open. */
  function fail(error: unknown): void {
    try {
      options.onFailure(error, live.open ? live : undefined);
    } finally {
      if (live.open) live.abandon();
    }
  }
  /** The library has let go of the connection: what goes out is a handshake, or one last reply. */
  function upgrade(req: IncomingMessage, socket: NetSocket, head: Buffer): void {
    const connection = connectionOf(socket);
    socket.on('error', () => {});
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once('finish', () => {
      res.detachSocket(socket);
      endGently(socket, '');
      socket.resume();
    });
    live.begin(req, res, false);
    live.closeAfterReply();
    run((exchange) => {
      const mounted = socketRoutes.get(exchange.path());
      const owner = mounted?.route.accept(exchange);
      if (mounted === undefined || owner === undefined) return;
      live.becomeSocket();
      res.detachSocket(socket);
      connections.delete(connection);
      // None is ever chosen, and a malformed list would be refused by the library in its own words.
      delete req.headers['sec-websocket-protocol'];
      let opened = false;
      mounted.server.handleUpgrade(req, socket, head, (ws: WebSocket) => {
        opened = true;
        new NodeSocket(owner, sockets, ws, socket);
        mounted.watch(sockets.connected);
      });
      // Gone already.
      if (!opened) owner.closed(1006);
    });
  }

  function closeListenSocket(): void {
    // http.Server's own close would cut the idle connections too.
    if (server.listening) NetServer.prototype.close.call(server);
  }
  function isBusy(): boolean {
    if (shared.inFlight > 0) return true;
    for (const connection of connections) if (connection.isBusy) return true;
    return false;
  }

  return {
    name: 'node',
    sharesPort: sharesPortByNode(process.platform, process.versions.node),
    route: (method, pattern, handler) => patterns.add(method, pattern, handler),
    socket: (pattern, route) => void socketRoutes.set(pattern, new MountedRoute(route)),
    fallback: (handler) => {
      fallback = handler;
    },
    listen: (host, port) => listen(server, host, port),
    drain: createDrain({
      shared,
      sockets,
      closeListenSocket,
      connectionCount: () => connections.size,
      isBusy,
      isClosed: () => closed,
      close,
    }),
    standing: standingOf(shared, () => openCount),
    close,
  };

  function close(): void {
    if (closed) return;
    closed = true;
    shared.unread.close();
    shared.bodies.close();
    server.close();
    for (const mounted of socketRoutes.values()) mounted.close();
    for (const { socket } of connections) socket.destroy();
    for (const socket of [...sockets.connected]) socket.close();
  }
}

/** A WebSocket's address, and the clock of those that are silent. */
class MountedRoute {
  readonly route: SocketRoute;
  readonly server: WebSocketServer;
  private timer: NodeJS.Timeout | undefined;

  constructor(route: SocketRoute) {
    this.route = route;
    // Its types do not know of `maxPendingAutoPongs` yet.
    const options: ServerOptions & { maxPendingAutoPongs: number } = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: route.messageBytesMax * MESSAGE_BYTES_FACTOR,
      // Past its default of 60 it would cut a client for a burst in one packet.
      maxPendingAutoPongs: PENDING_PONGS_MAX,
    };
    this.server = new WebSocketServer(options);
  }

  watch(connected: ReadonlySet<NodeSocket>): void {
    this.timer ??= setInterval(
      () => {
        for (const socket of connected) socket.turn();
      },
      (this.route.idleSeconds * 1000) / IDLE_TURNS,
    ).unref();
  }

  close(): void {
    clearInterval(this.timer);
  }
}

function createHttpServer(tls: TlsFiles | undefined, isSocketPath: (path: string) => boolean): Server {
  /** A request that asks for anything but a WebSocket at its address (h2c, say) is one like any other. */
  class Incoming extends IncomingMessage {
    private asksUpgrade: unknown = false;
    private isHandshake: boolean | undefined;

    get upgrade(): boolean {
      // Once: what it depends on changes, and the library asks again when more comes.
      this.isHandshake ??= this.asksUpgrade === true && isFree(this.socket) && this.isWellFormed();
      return this.isHandshake;
    }

    set upgrade(value: unknown) {
      this.asksUpgrade = value;
    }

    private isWellFormed(): boolean {
      return (
        isSocketPath((this.url ?? '').split('?', 1)[0] as string) &&
        asksForWebSocket(this.method ?? '', (name) => headerOf(this, name)) &&
        WEB_SOCKET_KEY.test(headerOf(this, 'sec-websocket-key'))
      );
    }
  }
  const settings = {
    IncomingMessage: Incoming,
    maxHeaderSize: limits.headerBytesMax,
    keepAliveTimeout: STALLED_MS,
    headersTimeout: STALLED_MS,
    // Of a body it is asked that it goes on.
    requestTimeout: 0,
    connectionsCheckingInterval: HEAD_LOOK_MS,
  };
  const server =
    tls === undefined
      ? createServer(settings)
      : createTlsServer({
          ...settings,
          cert: readFileSync(tls.certFile),
          key: readFileSync(tls.keyFile),
          // Whatever Node was told on its command line.
          minVersion: 'TLSv1.2',
          ciphers: TLS_CIPHERS,
          handshakeTimeout: STALLED_MS,
        });
  // The bound is that of their bytes; past this number the library would leave some out.
  server.maxHeadersCount = 0;
  return server as Server;
}

/** Whether the replies of all requests before are out: a handshake in a row behind one has no connection to take over. */
function isFree(socket: NetSocket & { readonly _httpMessage?: unknown }): boolean {
  // The library keeps the reply that is being written there, and throws when a second one is to be.
  return socket._httpMessage === undefined || socket._httpMessage === null;
}

/** Whatever the parser makes nothing of. */
function refuseUnread(error: NodeJS.ErrnoException, socket: NetSocket): void {
  const { code = '' } = error;
  const connection = connectionOf(socket);
  if (connection.closing) return;
  const isTold = code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!isTold || !socket.writable || !connection.isReceiving) {
    socket.destroy();
    return;
  }
  connection.closing = true;
  connection.abortAll();
  endGently(socket, refusal(code, error.message));
}

function refusal(code: string, why: string): string {
  if (code === 'HPE_HEADER_OVERFLOW') return refusalOf('431 Request Header Fields Too Large', '', '');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refusalOf('408 Request Timeout', '', '');
  const { title, status } = errors.INVALID_REQUEST;
  const problem = {
    type: 'urn:burgee:problem:INVALID_REQUEST',
    title,
    status,
    detail: `This is not HTTP as it is read here: ${why}.`,
    code: 'INVALID_REQUEST',
  };
  return refusalOf('400 Bad Request', 'Content-Type: application/problem+json\r\n', JSON.stringify(problem));
}

function refusalOf(status: string, line: string, body: string): string {
  return `HTTP/1.1 ${status}\r\n${line}Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void =>
      reject(new Error(`cannot listen on ${host} port ${port}: ${cause.message}`, { cause }));
    server.once('error', failed);
    // A worker of node:cluster would otherwise ask its primary for the socket, and lose it with the primary.
    const place = { host, port, exclusive: true };
    const sharing = sharesPortByNode(process.platform, process.versions.node) ? { ...place, reusePort: true } : place;
    server.listen(sharing, () => {
      server.off('error', failed);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
