// The transport on uWebSockets.js. What that library does not forgive is dealt with here and nowhere else: a request
// that dies when its handler returns, replies to connections that are gone, body chunks that are taken away again,
// writes outside a cork, an exception or a forgotten reply that would end the process.
import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t } from 'uWebSockets.js';
import { addressFromBytes } from './address.ts';
import { createDrain } from './drain.ts';
import { type BodyEnd, IncomingBody } from './incoming-body.ts';
import { loadUws } from './load-uws.ts';
import { UwsReplyStream } from './reply-stream.ts';
import { createShared, isLarge, type Shared, standingOf } from './shared.ts';
import type { SocketRoute } from './socket.ts';
import { TLS_CIPHERS } from './tls-ciphers.ts';
import type {
  Exchange,
  Handler,
  Head,
  HeldExchange,
  ReplyStream,
  StreamKind,
  Transport,
  TransportOptions,
} from './transport.ts';
import { UwsLargeReply } from './uws-large-reply.ts';
import { asksForUpgrade, type SocketsShared, socketBehavior, UwsSocket } from './uws-socket.ts';
import { write, writeEmpty } from './uws-write.ts';

/** Loads the library (after its checksum) and makes a server that does not listen yet. */
export async function createUwsTransport(options: TransportOptions): Promise<Transport> {
  const uws = await loadUws();
  const { tls } = options;
  const app: TemplatedApp =
    tls === undefined
      ? uws.App()
      : uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile, ssl_ciphers: TLS_CIPHERS });
  const shared = createShared<UwsReplyStream>();
  const sockets: SocketsShared = {
    socketCount: 0,
    lastSocketEndMs: 0,
    onFailure: (error) => options.onFailure(error, undefined),
  };
  /** Of HTTP: one that became a WebSocket is counted in `sockets`. */
  let connectionCount = 0;
  let fallback: Handler = () => {};
  let listenSocket: us_listen_socket | undefined;
  let closed = false;
  // The type declarations leave `filter` out: called with +1 for a connection that opens and -1 for one that closes.
  const counting = app as unknown as { filter(visit: (res: HttpResponse, change: number) => number): void };
  counting.filter((res, change) => {
    connectionCount += change;
    const openCount = connectionCount + sockets.socketCount;
    shared.closing = shared.draining || openCount > options.crowdedCount;
    if (change > 0 && !options.admits(addressOf(res), openCount)) res.close();
    return connectionCount;
  });

  const live = new LiveExchange(shared);
  function run(handler: Handler, res: HttpResponse, req: HttpRequest): void {
    live.begin(res, req);
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
  function upgrade(route: SocketRoute, res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    if (!asksForUpgrade(req)) return run(fallback, res, req);
    return run(
      (exchange) => {
        const owner = route.accept(exchange);
        if (owner === undefined) return;
        live.becomeSocket();
        // The library tells of a connection that closes as long as it is one of HTTP.
        connectionCount -= 1;
        new UwsSocket(owner, sockets).upgrade(res, req, context);
      },
      res,
      req,
    );
  }
  function closeListenSocket(): void {
    if (listenSocket === undefined) return;
    uws.us_listen_socket_close(listenSocket);
    listenSocket = undefined;
  }

  return {
    name: 'uws',
    // Elsewhere the system gives all connections to one of those who listen.
    sharesPort: process.platform === 'linux',
    route: (method, pattern, handler) => {
      const path = pattern.replaceAll(/\{(\w+)\}/g, ':$1');
      if (method === 'GET') app.get(path, (res, req) => run(handler, res, req));
      else app.post(path, (res, req) => run(handler, res, req));
    },
    socket: (pattern, route) => {
      app.ws(pattern, {
        ...socketBehavior(route),
        upgrade: (res, req, context) => upgrade(route, res, req, context),
      });
    },
    fallback: (handler) => {
      fallback = handler;
      app.any('/*', (res, req) => run(handler, res, req));
    },
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        app.listen(host, port, (token) => {
          if (token === false) return reject(new Error(`cannot listen on ${host} port ${port}`));
          listenSocket = token;
          return resolve(uws.us_socket_local_port(token as unknown as Parameters<typeof uws.us_socket_local_port>[0]));
        });
      }),
    drain: createDrain({
      shared,
      sockets,
      closeListenSocket,
      connectionCount: () => connectionCount,
      isBusy: () => shared.inFlight > 0,
      isClosed: () => closed,
      close,
    }),
    standing: standingOf(shared, () => connectionCount + sockets.socketCount),
    close,
  };

  function close(): void {
    if (closed) return;
    closed = true;
    shared.unread.close();
    shared.bodies.close();
    closeListenSocket();
    app.close();
  }
}

/** The one exchange that all synchronous handlers share: nothing is allocated for a request answered at once. */
class LiveExchange implements Exchange {
  open = false;
  private res!: HttpResponse;
  private req!: HttpRequest;
  private closing = false;
  private readonly shared: Shared<UwsReplyStream>;

  constructor(shared: Shared<UwsReplyStream>) {
    this.shared = shared;
  }

  begin(res: HttpResponse, req: HttpRequest): void {
    this.res = res;
    this.req = req;
    this.open = true;
    this.closing = this.shared.closing;
    if (this.closing) this.shared.lastRequestMs = Date.now();
  }

  method(): string {
    return this.req.getCaseSensitiveMethod();
  }

  path(): string {
    return this.req.getUrl();
  }

  query(): string {
    // Without a `?` the library answers undefined, whatever its types say.
    return this.req.getQuery() ?? '';
  }

  header(name: string): string {
    return this.req.getHeader(name);
  }

  eachHeader(visit: (name: string, value: string) => void): void {
    this.req.forEach(visit);
  }

  parameter(index: number): string {
    return this.req.getParameter(index);
  }

  remoteAddress(): string {
    return addressOf(this.res);
  }

  closeAfterReply(): void {
    this.closing = true;
  }

  send(status: string, head: Head, body: string | Uint8Array): void {
    this.open = false;
    write(this.res, status, head, body, this.closing);
  }

  sendEmpty(status: string, head: Head, contentLength: number | undefined): void {
    this.open = false;
    writeEmpty(this.res, status, head, contentLength, this.closing);
  }

  /** It is answered by the handshake. */
  becomeSocket(): void {
    this.open = false;
  }

  /** Cuts the connection: nothing is left that could answer. */
  abandon(): void {
    this.open = false;
    this.res.close();
  }

  hold(bodyBytesMax: number, unreadBytesMax = bodyBytesMax): HeldExchange {
    this.open = false;
    return new Held(this.res, this.shared, this.closing, bodyBytesMax, unreadBytesMax);
  }
}

/** An exchange that outlives its handler. */
class Held implements HeldExchange {
  aborted = false;
  private readonly res: HttpResponse;
  private readonly shared: Shared<UwsReplyStream>;
  private readonly incoming: IncomingBody;
  private closing: boolean;
  private open = true;
  /** The library corks a connection while it shows what has come. */
  private isCorked = false;
  private reply: UwsReplyStream | undefined;

  constructor(
    res: HttpResponse,
    shared: Shared<UwsReplyStream>,
    closing: boolean,
    bodyBytesMax: number,
    unreadBytesMax: number,
  ) {
    this.res = res;
    this.shared = shared;
    this.closing = closing;
    this.incoming = new IncomingBody(res, bodyBytesMax, unreadBytesMax, shared.bodies);
    shared.inFlight += 1;
    res.onAborted(() => this.abort());
    res.onData((chunk, isLast) => {
      this.isCorked = true;
      this.incoming.receive(chunk, isLast);
      this.isCorked = false;
    });
  }

  get bodyEnded(): BodyEnd | undefined {
    return this.incoming.ended;
  }

  body(): Promise<Uint8Array | undefined> {
    return this.incoming.all();
  }

  whenEnded(look: (bytes: Uint8Array | undefined) => void): void {
    this.incoming.whenEnded(look);
  }

  nextChunk(): Promise<Uint8Array | undefined> {
    return this.incoming.next();
  }

  remoteAddress(): string {
    return this.open && !this.aborted ? addressOf(this.res) : '';
  }

  closeAfterReply(): void {
    this.closing = true;
  }

  send(status: string, head: Head, body: string | Uint8Array): void {
    if (!this.settle()) return;
    const closing = this.closing || this.shared.closing;
    if (isLarge(body)) return this.sendLarge(status, head, body, closing);
    this.leave();
    if (this.isCorked) write(this.res, status, head, body, closing);
    else this.res.cork(() => write(this.res, status, head, body, closing));
  }

  /** In flight until the client has taken it. */
  private sendLarge(status: string, head: Head, body: string | Uint8Array, closing: boolean): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const reply = new UwsLargeReply(this.res, this.shared.unread, bytes.byteLength, () => this.leave());
    if (this.isCorked) reply.send(status, head, bytes, closing);
    else this.res.cork(() => reply.send(status, head, bytes, closing));
  }

  sendEmpty(status: string, head: Head, contentLength: number | undefined): void {
    if (!this.settle()) return;
    this.leave();
    this.res.cork(() => writeEmpty(this.res, status, head, contentLength, this.closing || this.shared.closing));
  }

  stream(status: string, head: Head, kind: StreamKind): ReplyStream {
    const alive = this.settle();
    const { shared } = this;
    const endless = kind === 'endless';
    const stream = new UwsReplyStream(this.res, status, head, this.closing || shared.closing, alive, {
      unread: shared.unread,
      onOver: () => {
        if (endless) shared.endless.delete(stream);
        else this.leave();
      },
    });
    if (!alive) return stream;
    this.reply = stream;
    if (endless) {
      this.leave();
      shared.endless.add(stream);
      // One that begins while the server stops gets its turn to say so, and ends.
      if (shared.draining) setImmediate(() => stream.drain());
    }
    return stream;
  }

  private abort(): void {
    this.aborted = true;
    if (this.open) this.leave();
    this.open = false;
    this.incoming.abort();
    this.reply?.abort();
  }

  /** True for the one reply that goes out. */
  private settle(): boolean {
    if (!this.open) return false;
    this.open = false;
    this.incoming.abandon();
    return true;
  }

  /** No longer in flight. */
  private leave(): void {
    this.shared.inFlight -= 1;
    if (this.shared.draining) this.shared.lastRequestMs = Date.now();
  }
}

function addressOf(res: HttpResponse): string {
  return addressFromBytes(new Uint8Array(res.getRemoteAddress()));
}
