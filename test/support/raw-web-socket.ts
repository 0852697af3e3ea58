// A WebSocket client that is nothing but a TCP connection and bytes: frames can be wrong in every way, made in advance,
// cut, mixed, or not read at all. What a proper client library does not let one do.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Not zero: the server must not be spared the work. Fixed, so that frames can be made in advance. */
const MASK = Buffer.from([0x5a, 0xc3, 0x17, 0x8e]);
const FIN = 0x80;
const MASKED = 0x80;

export interface FrameShape {
  readonly fin?: boolean;
  /** Bits 4 to 6 of the first byte, which no extension of ours uses. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** What the header says; left out, what is true. */
  readonly length?: number;
}

/** One frame from a client, as it goes over the wire. */
export function clientFrame(opcode: number, payload: Uint8Array, shape: FrameShape = {}): Buffer {
  const { fin = true, reserved = 0, masked = true, length = payload.length } = shape;
  const head = [(fin ? FIN : 0) | reserved | opcode];
  const mark = masked ? MASKED : 0;
  if (length < 126) head.push(mark | length);
  else if (length < 65_536) head.push(mark | 126, length >> 8, length & 0xff);
  else {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(length));
    head.push(mark | 127, ...bytes);
  }
  if (!masked) return Buffer.concat([Buffer.from(head), payload]);
  const body = Buffer.from(payload);
  for (let i = 0; i < body.length; i++) body[i] = (body[i] as number) ^ (MASK[i & 3] as number);
  return Buffer.concat([Buffer.from(head), MASK, body]);
}

export function textFrame(message: string | object): Buffer {
  return clientFrame(OPCODE.text, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)));
}

/** The answer to a ping, without which a server takes a silent client for gone. */
export function pongTo(ping: Buffer | undefined): Buffer {
  return clientFrame(OPCODE.pong, ping ?? Buffer.alloc(0));
}

export interface FrameReader {
  read(chunk: Buffer): void;
}

/**
 * Cuts what a server sends into frames, whatever pieces it comes in. Replies of megabytes are not copied when nobody
 * looks into them.
 * @param keep false: `payload` is undefined
 */
export function createFrameReader(
  keep: boolean,
  onFrame: (opcode: number, payload: Buffer | undefined, fin: boolean, byteCount: number) => void,
): FrameReader {
  let head = Buffer.alloc(0);
  let opcode = 0;
  let fin = true;
  let byteCount = 0;
  /** Of the payload that is being read; undefined: a header is. */
  let missing: number | undefined;
  let pieces: Buffer[] = [];

  function end(): void {
    const payload = keep ? (pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)) : undefined;
    pieces = [];
    missing = undefined;
    onFrame(opcode, payload, fin, byteCount);
  }

  /** Where the payload begins; undefined: the header is not whole. */
  function header(bytes: Buffer, at: number): number | undefined {
    if (bytes.length - at < 2) return undefined;
    const first = bytes[at] as number;
    const short = (bytes[at + 1] as number) & 0x7f;
    const size = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length - at < size) return undefined;
    opcode = first & 0x0f;
    fin = (first & FIN) !== 0;
    byteCount =
      short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short === 126 ? bytes.readUInt16BE(at + 2) : short;
    missing = byteCount;
    return at + size;
  }

  return {
    read(chunk) {
      const bytes = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      head = Buffer.alloc(0);
      let at = 0;
      while (at < bytes.length) {
        if (missing === undefined) {
          const payloadAt = header(bytes, at);
          if (payloadAt === undefined) {
            head = Buffer.from(bytes.subarray(at));
            return;
          }
          at = payloadAt;
        }
        const taken = Math.min(missing as number, bytes.length - at);
        if (keep) pieces.push(bytes.subarray(at, at + taken));
        at += taken;
        missing = (missing as number) - taken;
        if (missing === 0) end();
        else return;
      }
    },
  };
}

export interface Upgrade {
  readonly port: number;
  readonly key?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A connection on which the upgrade was answered with 101. Rejects when it was not.
 * @returns `rest`: bytes that came behind the head of the reply
 */
export function upgrade(options: Upgrade): Promise<{ readonly socket: Socket; readonly rest: Buffer }> {
  const lines = Object.entries({
    Host: `127.0.0.1:${options.port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...(options.key === undefined ? {} : { 'X-API-Key': options.key }),
    ...options.headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect(options.port, '127.0.0.1');
    socket.setNoDelay(true);
    let received = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const headEnd = received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      socket.pause();
      socket.off('data', read);
      socket.off('close', refuse);
      if (received.toString('latin1', 0, 12) === 'HTTP/1.1 101') {
        resolve({ socket, rest: received.subarray(headEnd + 4) });
      } else {
        socket.destroy();
        refuse();
      }
    };
    const refuse = (): void => reject(new Error(`no upgrade: ${received.toString('latin1') || 'closed'}`));
    // What goes wrong is followed by 'close'.
    socket.on('error', () => {});
    socket.on('data', read);
    socket.on('close', refuse);
    socket.write(`GET ${options.path ?? '/api/v1/ws'} HTTP/1.1\r\n${lines.join('')}\r\n`);
  });
}

/** What came: a whole message, a control frame, or the end of the connection. */
export type Arrival =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'binary'; readonly bytes: Buffer }
  | { readonly kind: 'ping' | 'pong' }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  /** Without a close frame. */
  | { readonly kind: 'cut' };

export interface RawWebSocket {
  readonly socket: Socket;
  /** Frames made by `clientFrame`, or anything else. */
  write(bytes: Uint8Array): void;
  /** The next arrival in order; after the end always the end. */
  next(): Promise<Arrival>;
  /** The next message as JSON. Throws when something else arrives. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into messages of every type
  nextJson(): Promise<any>;
  nextBinary(): Promise<Buffer>;
  close(): void;
}

/** Opens one and reads its welcome, unless it is to be left. */
export async function openRawWebSocket(options: Upgrade, leaveWelcome = false): Promise<RawWebSocket> {
  const { socket, rest } = await upgrade(options);
  const arrivals: Arrival[] = [];
  let ended: Arrival | undefined;
  let wake: (() => void) | undefined;

  function arrive(arrival: Arrival): void {
    if (ended !== undefined) return;
    if (arrival.kind === 'close' || arrival.kind === 'cut') ended = arrival;
    else arrivals.push(arrival);
    wake?.();
  }
  const reader = createFrameReader(true, (opcode, payload, fin) => {
    if (!fin) throw new Error('the server sent a fragment');
    const bytes = payload as Buffer;
    if (opcode === OPCODE.text) arrive({ kind: 'text', text: bytes.toString() });
    else if (opcode === OPCODE.binary) arrive({ kind: 'binary', bytes });
    else if (opcode === OPCODE.ping) {
      if (!socket.destroyed) socket.write(pongTo(bytes));
      arrive({ kind: 'ping' });
    } else if (opcode === OPCODE.pong) arrive({ kind: 'pong' });
    else if (opcode === OPCODE.close) {
      arrive({
        kind: 'close',
        code: bytes.length < 2 ? 1005 : bytes.readUInt16BE(0),
        reason: bytes.toString('utf8', 2),
      });
    } else throw new Error(`the server sent a frame of opcode ${opcode}`);
  });
  socket.on('data', (chunk: Buffer) => reader.read(chunk));
  socket.on('close', () => arrive({ kind: 'cut' }));
  reader.read(rest);
  socket.resume();

  async function next(): Promise<Arrival> {
    for (;;) {
      const arrival = arrivals.shift() ?? ended;
      if (arrival !== undefined) return arrival;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const opened: RawWebSocket = {
    socket,
    write(bytes) {
      if (!socket.destroyed) socket.write(bytes);
    },
    next,
    async nextJson() {
      const arrival = await next();
      if (arrival.kind !== 'text') throw new Error(`expected a text message, got ${JSON.stringify(arrival)}`);
      return JSON.parse(arrival.text);
    },
    async nextBinary() {
      const arrival = await next();
      if (arrival.kind !== 'binary') throw new Error(`expected a binary message, got ${JSON.stringify(arrival)}`);
      return arrival.bytes;
    },
    close() {
      socket.destroy();
    },
  };
  if (!leaveWelcome) {
    const welcome = await opened.nextJson();
    if (welcome.type !== 'welcome') throw new Error(`expected the welcome, got ${JSON.stringify(welcome)}`);
  }
  return opened;
}
