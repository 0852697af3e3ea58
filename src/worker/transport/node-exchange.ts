// One request of node:http and the way to answer it, with the bytes that the other transport sends.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { canonicalAddress } from './address.ts';
import { type BodyEnd, IncomingBody } from './incoming-body.ts';
import { type Connection, connectionOf } from './node-connection.ts';
import { NodeLargeReply } from './node-large-reply.ts';
import { writeHead } from './node-reply.ts';
import { NodeReplyStream } from './node-reply-stream.ts';
import { isLarge, type Shared } from './shared.ts';
import type { Exchange, Head, HeldExchange, ReplyStream, StreamKind } from './transport.ts';

const NOTHING = new Uint8Array(0);
const NOT_ASCII = /[\x80-\xff]/;
/** `GET http://host/path HTTP/1.1`, as proxies are asked: what comes before the path. */
const SCHEME_AND_HOST = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?]*/;

/** The one exchange that all synchronous handlers share. */
export class NodeExchange implements Exchange {
  open = false;
  /** Of the pattern that was found for the request. */
  readonly parameters: string[] = [];
  private req!: IncomingMessage;
  private res!: ServerResponse;
  private closing = false;
  private awaitsContinue = false;
  private target = '';
  private queryAt = -1;
  private readonly shared: Shared<NodeReplyStream>;

  constructor(shared: Shared<NodeReplyStream>) {
    this.shared = shared;
  }

  /** `awaitsContinue`: the client sends its body when it is told to. */
  begin(req: IncomingMessage, res: ServerResponse, awaitsContinue: boolean): void {
    this.req = req;
    this.res = res;
    this.open = true;
    this.closing = this.shared.closing;
    this.awaitsContinue = awaitsContinue;
    const url = asUtf8(req.url ?? '');
    this.target = url.startsWith('/') ? url : originForm(url);
    this.queryAt = this.target.indexOf('?');
    if (this.closing) this.shared.lastRequestMs = Date.now();
  }

  method(): string {
    return this.req.method ?? '';
  }

  path(): string {
    return this.queryAt < 0 ? this.target : this.target.slice(0, this.queryAt);
  }

  query(): string {
    return this.queryAt < 0 ? '' : this.target.slice(this.queryAt + 1);
  }

  header(name: string): string {
    return headerOf(this.req, name);
  }

  eachHeader(visit: (name: string, value: string) => void): void {
    const { rawHeaders } = this.req;
    for (let i = 0; i < rawHeaders.length; i += 2)
      visit((rawHeaders[i] as string).toLowerCase(), asUtf8(rawHeaders[i + 1] as string));
  }

  parameter(index: number): string {
    return this.parameters[index] ?? '';
  }

  remoteAddress(): string {
    return addressOf(this.req.socket);
  }

  closeAfterReply(): void {
    this.closing = true;
    connectionOf(this.req.socket).closing = true;
  }

  send(status: string, head: Head, body: string | Uint8Array): void {
    this.open = false;
    // Whoever waits to be told before it sends its body may take this for the end, or not.
    write(this.shared, this.req, this.res, status, head, body, this.closing || this.awaitsContinue);
  }

  sendEmpty(status: string, head: Head, contentLength: number | undefined): void {
    this.open = false;
    writeEmpty(this.req, this.res, status, head, contentLength, this.closing || this.awaitsContinue);
  }

  /** It is answered by the handshake. */
  becomeSocket(): void {
    this.open = false;
  }

  /** Cuts the connection: nothing is left that could answer. */
  abandon(): void {
    this.open = false;
    this.req.socket.destroy();
  }

  hold(bodyBytesMax: number, unreadBytesMax = bodyBytesMax): HeldExchange {
    this.open = false;
    const held = new Held(this.req, this.res, this.shared, this.closing, bodyBytesMax, unreadBytesMax);
    if (this.awaitsContinue) this.res.writeContinue();
    return held;
  }
}

/** An exchange that outlives its handler. */
class Held implements HeldExchange {
  aborted = false;
  private readonly req: IncomingMessage;
  private readonly res: ServerResponse;
  private readonly shared: Shared<NodeReplyStream>;
  private readonly connection: Connection;
  private readonly incoming: IncomingBody;
  private closing: boolean;
  private open = true;
  private reply: NodeReplyStream | undefined;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    shared: Shared<NodeReplyStream>,
    closing: boolean,
    bodyBytesMax: number,
    unreadBytesMax: number,
  ) {
    this.req = req;
    this.res = res;
    this.shared = shared;
    this.closing = closing;
    this.connection = connectionOf(req.socket);
    this.incoming = new IncomingBody(
      {
        pause: () => {
          this.connection.unwatch();
          req.pause();
        },
        resume: () => {
          this.connection.watch();
          req.resume();
        },
        close: () => void req.socket.destroy(),
      },
      bodyBytesMax,
      unreadBytesMax,
      shared.bodies,
    );
    shared.inFlight += 1;
    this.connection.begin(this);
    this.take(declaredBytes(req));
  }

  get isReceiving(): boolean {
    return this.open && this.incoming.ended === undefined;
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
    return this.open ? addressOf(this.req.socket) : '';
  }

  closeAfterReply(): void {
    this.closing = true;
    this.connection.closing = true;
  }

  send(status: string, head: Head, body: string | Uint8Array): void {
    if (!this.settle()) return;
    this.leave();
    write(this.shared, this.req, this.res, status, head, body, this.closing || this.shared.closing);
  }

  sendEmpty(status: string, head: Head, contentLength: number | undefined): void {
    if (!this.settle()) return;
    this.leave();
    writeEmpty(this.req, this.res, status, head, contentLength, this.closing || this.shared.closing);
  }

  stream(status: string, head: Head, kind: StreamKind): ReplyStream {
    const alive = this.settle();
    const { shared } = this;
    const endless = kind === 'endless';
    const closing = this.closing || shared.closing;
    const beginning = { status, head, closing, alive, unread: shared.unread };
    const stream = new NodeReplyStream(this.res, this.connection, beginning, () => {
      this.connection.settle(this);
      if (endless) shared.endless.delete(stream);
      else this.leave();
    });
    if (!alive) return stream;
    if (closing) endWithReply(this.req, this.connection);
    this.reply = stream;
    if (endless) {
      this.uncount();
      shared.endless.add(stream);
      // One that begins while the server stops gets its turn to say so, and ends.
      if (shared.draining) setImmediate(() => stream.drain());
    }
    return stream;
  }

  abort(): void {
    this.aborted = true;
    if (this.open) this.leave();
    this.open = false;
    this.incoming.abort();
    this.reply?.abort();
  }

  /** `bytes`: as told before it, undefined when its end comes as it does. */
  private take(bytes: number | undefined): void {
    if (bytes === 0) {
      // Not before whoever holds this can have asked to be told.
      process.nextTick(() => this.incoming.receive(NOTHING, true));
      return;
    }
    let missing = bytes ?? Number.POSITIVE_INFINITY;
    this.connection.watch();
    this.req.on('data', (chunk: Buffer) => {
      missing -= chunk.byteLength;
      if (missing === 0) this.connection.unwatch();
      this.incoming.receive(chunk, missing === 0);
    });
    if (bytes !== undefined) return;
    this.req.on('end', () => {
      this.connection.unwatch();
      this.incoming.receive(NOTHING, true);
    });
  }

  /** True for the one reply that goes out. */
  private settle(): boolean {
    if (!this.open) return false;
    this.open = false;
    this.incoming.abandon();
    return true;
  }

  private leave(): void {
    this.connection.settle(this);
    this.uncount();
  }

  /** No longer in flight. */
  private uncount(): void {
    this.shared.inFlight -= 1;
    if (this.shared.draining) this.shared.lastRequestMs = Date.now();
  }
}

/** The first header of that name, which is in lower case; empty when there is none. */
export function headerOf({ rawHeaders }: IncomingMessage, name: string): string {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i] as string;
    if (raw.length === name.length && (raw === name || raw.toLowerCase() === name))
      return asUtf8(rawHeaders[i + 1] as string);
  }
  return '';
}

/** Empty when the connection has gone. */
export function addressOf({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string {
  return remoteAddress === undefined ? '' : (canonicalAddress(remoteAddress) ?? '');
}

/** The library reads a byte as a character; clients mean UTF-8 by it. */
function asUtf8(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'latin1').toString() : text;
}

function originForm(url: string): string {
  const rest = url.replace(SCHEME_AND_HOST, '');
  if (rest === url) return url;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Of the body that comes; undefined: in chunks. The parser has refused what is told in two ways. */
function declaredBytes(req: IncomingMessage): number | undefined {
  if (headerOf(req, 'transfer-encoding') !== '') return undefined;
  return Number(headerOf(req, 'content-length'));
}

function write(
  shared: Shared<NodeReplyStream>,
  req: IncomingMessage,
  res: ServerResponse,
  status: string,
  head: Head,
  body: string | Uint8Array,
  closing: boolean,
): void {
  if (res.destroyed) return;
  if (closing || !res.shouldKeepAlive) endWithReply(req, connectionOf(req.socket));
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  writeHead(res, status, head, bytes, closing);
  if (isLarge(body)) {
    new NodeLargeReply(res, connectionOf(req.socket), shared.unread).send(body);
    return;
  }
  // What is not sent at once is kept, and the bytes belong to whoever has made them.
  res.end(typeof body === 'string' ? body : Buffer.from(body));
  // The library goes on with its own times as soon as the reply is out.
  if (req.socket.writableLength > 0) connectionOf(req.socket).watch();
}

function writeEmpty(
  req: IncomingMessage,
  res: ServerResponse,
  status: string,
  head: Head,
  contentLength: number | undefined,
  closing: boolean,
): void {
  if (res.destroyed) return;
  if (closing || !res.shouldKeepAlive) endWithReply(req, connectionOf(req.socket));
  writeHead(res, status, head, contentLength, closing);
  res.end();
}

/** Nothing more is served on a connection that ends with this request's reply. */
function endWithReply(req: IncomingMessage, connection: Connection): void {
  connection.closing = true;
  if (!req.complete && declaredBytes(req) !== 0) connection.linger();
}
