// What the worker asks of a server library: requests in, bytes out. Only this folder knows which library that is, so
// that a second one can take its place.
import type { SocketRoute } from './socket.ts';

/** Answers one request: replies before it returns, or takes the exchange along with `hold`. */
export type Handler = (exchange: Exchange) => void;

/**
 * One request and the way to answer it. The object is valid until the handler returns and used again for the next
 * request; whoever needs longer copies what it needs and calls `hold`.
 */
export interface Exchange {
  /** As sent, case and all. */
  method(): string;
  /** The path as sent, percent-encoding and all, without the query. */
  path(): string;
  /** What follows the `?`, as sent; empty when there is none. */
  query(): string;
  /** The first header of that name; empty when absent. `name` in lower case. */
  header(name: string): string;
  /** Every header, names in lower case, repeated ones once each. */
  eachHeader(visit: (name: string, value: string) => void): void;
  /** The nth `{parameter}` of the pattern the handler was registered with, as sent. */
  parameter(index: number): string;
  /** Answers with a body. `status` is code and reason: `200 OK`. */
  send(status: string, head: Head, body: string | Uint8Array): void;
  /** Answers without one. `contentLength` is what HEAD tells; undefined: no such header (204, 304). */
  sendEmpty(status: string, head: Head, contentLength: number | undefined): void;
  /**
   * The address at the other end of the connection, which may be a proxy's; IPv4 as `203.0.113.7`, mapped or not, IPv6 as
   * RFC 5952 writes it. To be asked before the reply.
   */
  remoteAddress(): string;
  /** Closes the connection once the reply is out. To be called before it is sent. */
  closeAfterReply(): void;
  /**
   * Keeps the exchange past the handler's return, and takes in its body up to `bodyBytesMax` from now on. Past
   * `unreadBytesMax` (default: all of it) that nobody has taken yet, the client has to wait.
   */
  hold(bodyBytesMax: number, unreadBytesMax?: number): HeldExchange;
}

export interface HeldExchange {
  /** True once the client has gone; sending is then ignored. */
  readonly aborted: boolean;
  /** The body's bytes, its own copy; undefined as soon as it is over the limit; empty when the client has gone. */
  body(): Promise<Uint8Array | undefined>;
  /**
   * Before anything of it is taken: calls `look` once, when the body has ended, with its bytes, which are valid until it
   * returns; undefined when it is over its limit or the client has gone. What `look` leaves without an answer is there
   * for `body` as if nobody had looked. It must not throw.
   */
  whenEnded(look: (bytes: Uint8Array | undefined) => void): void;
  /**
   * Instead of `body`, one call at a time: the next bytes of the body, their own copy; undefined when no more come, and
   * `bodyEnded` says why.
   */
  nextChunk(): Promise<Uint8Array | undefined>;
  /** undefined while more may come. `answered`: a reply went out before the body was whole; the rest is thrown away. */
  readonly bodyEnded: 'complete' | 'too-large' | 'aborted' | 'answered' | undefined;
  send(status: string, head: Head, body: string | Uint8Array): void;
  sendEmpty(status: string, head: Head, contentLength: number | undefined): void;
  /** Answers in chunks. Not for HEAD: that is `sendEmpty` without a length. */
  stream(status: string, head: Head, kind: StreamKind): ReplyStream;
  /** As Exchange.remoteAddress; empty once a reply has gone out, or the client has gone. */
  remoteAddress(): string;
  closeAfterReply(): void;
}

/**
 * `finite`: in flight until it ends, a drain waits for it. `endless`: it ends when one side has had enough, so a drain
 * does not wait but ends it.
 */
export type StreamKind = 'finite' | 'endless';

/**
 * A reply in chunks. Everything may be called at any time: once the reply has ended or the client has gone nothing
 * happens. A client for which more than `limits.streamUnsentBytesMax` wait is cut off, and so is one that takes nothing
 * for about 10 s after the last write.
 */
export interface ReplyStream {
  /**
   * The head leaves with the first chunk. False: bytes from before are still unsent, so wait for `onWritable`; the
   * chunk is kept and will go in its turn.
   */
  write(chunk: string | Uint8Array): boolean;
  /** `tell` is called whenever the socket takes bytes again. One callback; a later one replaces it. */
  onWritable(tell: () => void): void;
  /** `tell` is called when the client has gone, or `close` was called; at once when it is gone already. Not after `end`. */
  onClosed(tell: () => void): void;
  /** `tell` is called when a drain is about to end an endless stream: the last moment to write. */
  onDrain(tell: () => void): void;
  /**
   * At most this many bytes are kept for a client that does not take them. Exact to one chunk, and brought up to date by
   * each write.
   */
  unsentBytes(): number;
  end(): void;
  /** Cuts the connection: what is unsent is lost, and the client sees that the reply is not whole. */
  close(): void;
}

export interface Transport {
  /** Shown by /healthz. */
  readonly name: 'uws' | 'node';
  /** Whether several processes may listen on one port, each getting its share of the connections. */
  readonly sharesPort: boolean;
  /** Registers one method and pattern: `/api/v1/flags/{flag_id}/evaluate`. Before `listen`. */
  route(method: 'GET' | 'POST', pattern: string, handler: Handler): void;
  /** Registers a WebSocket at a path. A request for it that asks for no upgrade goes to the fallback. Before `listen`. */
  socket(pattern: string, route: SocketRoute): void;
  /** Everything that no route took, whatever its method. Before `listen`. */
  fallback(handler: Handler): void;
  /** Resolves with the port in use; rejects when the address cannot be had. */
  listen(host: string, port: number): Promise<number>;
  /**
   * Closes the listen socket; from then on every reply closes its connection. Waits until no WebSocket is left (their
   * owners end them), nothing is in flight, and no other connection is left or no request has come for `idleMs`; at most
   * for `msMax`. Then it closes what is left, which is idle unless the time was up, and resolves. May be called again:
   * the shorter times count.
   */
  drain(idleMs: number, msMax: number): Promise<void>;
  /** What is open, and what of it clients have not taken. */
  readonly standing: TransportStanding;
  /** Cuts every connection. May be called twice. */
  close(): void;
}

/** Numbers of one transport, kept up to date by it. */
export interface TransportStanding {
  /** Open connections, WebSockets included. */
  readonly connections: number;
  /** Of HTTP replies that their clients have not taken. */
  readonly unreadBytes: number;
  /** Of bodies that have not ended. */
  readonly bodyBytes: number;
  /** Connections that were cut, since the start, because their clients were too slow with either. */
  readonly slowCut: number;
}

/** PEM files: the certificate with its chain, and its key. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TransportOptions {
  /** undefined: plain. Read once, when the transport is made. */
  readonly tls: TlsFiles | undefined;
  /**
   * Asked about each connection as it opens; false closes it at once. `address` as in Exchange.remoteAddress;
   * `openCount`: connections that are open, this one and WebSockets included.
   */
  readonly admits: (address: string, openCount: number) => boolean;
  /** While more than these are open every HTTP reply closes its connection, so that nobody keeps one for ever. */
  readonly crowdedCount: number;
  /** A handler threw or forgot to answer. Answers the client if `exchange` is given: it is still open then. */
  readonly onFailure: (error: unknown, exchange: Exchange | undefined) => void;
}

/** Header lines, prepared once and sent many times. Made by `makeHead` and `fillHead` only. */
export interface Head {
  /** The first line's name, and its value followed by all the other lines, ready to be written in one go. */
  readonly firstName: string;
  readonly rest: string;
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\x20-\x7e\t]*$/;

/**
 * Prepares header lines. Throws on a name or value that could end its line: such a value is a bug here, for whatever
 * comes from a client is checked where it is read.
 */
export function makeHead(lines: readonly (readonly [name: string, value: string])[]): Head {
  for (const [name, value] of lines) {
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value))
      throw new Error(`illegal reply header ${JSON.stringify(name)}`);
  }
  const first = lines[0];
  if (first === undefined) throw new Error('a reply needs a header');
  const rest = [first[1], ...lines.slice(1).map(([name, value]) => `${name}: ${value}`)].join('\r\n');
  return { firstName: first[0], rest };
}

/** Header lines with a place for one value, and behind it one for a line more. */
export interface OpenHead {
  readonly firstName: string;
  /** Up to the value. */
  readonly before: string;
  /** From the value to the place for a line. */
  readonly middle: string;
  readonly after: string;
}

type Lines = Parameters<typeof makeHead>[0];

/** As makeHead, in this order: `first`, `name` with a value to come, `second`, perhaps a line, `third`. */
export function makeOpenHead(first: Lines, name: string, second: Lines, third: Lines): OpenHead {
  const { firstName, rest } = makeHead(first);
  // Checked with all that will stand there.
  makeHead([[name, ''], ...second, ...third]);
  const text = (lines: Lines): string => lines.map(([line, value]) => `\r\n${line}: ${value}`).join('');
  return { firstName, before: `${rest}\r\n${name}: `, middle: text(second), after: text(third) };
}

/**
 * The whole of it, made for one reply: nothing is checked. `value` is one that cannot end its line; `line` is empty, or
 * a line with what separates it from the one before: `\r\nETag: "x"`.
 */
export function fillHead(head: OpenHead, value: string, line: string): Head {
  return { firstName: head.firstName, rest: head.before + value + head.middle + line + head.after };
}
