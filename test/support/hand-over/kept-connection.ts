// One kept HTTP/1.1 connection that asks one thing at a time and tells apart what a client must tell apart: an answer,
// a request that was sent and never answered, and a connection that was closed while nothing was out.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: replies of every route
  readonly body: any;
}

/** Sent, and no whole answer came. */
export interface Lost {
  readonly kind: 'lost';
  readonly reason: string;
}

export interface KeptConnection {
  /** False once it was closed, or the last reply said that it will be. */
  readonly open: boolean;
  readonly busy: boolean;
  /** Never rejects. Throws when it is not open, or busy. */
  ask(method: string, path: string, options?: AskOptions): Promise<Reply | Lost>;
  close(): void;
}

export interface AskOptions {
  readonly json?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Rejects when the port refuses. */
export async function keepConnection(port: number, key: string): Promise<KeptConnection> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');
  let open = true;
  let received = Buffer.alloc(0);
  let waiting: ((outcome: Reply | Lost) => void) | undefined;

  function settle(outcome: Reply | Lost): void {
    const answered = waiting;
    waiting = undefined;
    answered?.(outcome);
  }
  function end(reason: string): void {
    open = false;
    settle({ kind: 'lost', reason });
  }
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const found = readReply(received);
    if (found === undefined) return;
    received = received.subarray(found.bytes);
    if (/close/i.test(found.reply.headers.get('connection') ?? '')) {
      open = false;
      socket.end();
    }
    settle(found.reply);
  });
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('closed with a request out'));

  return {
    get open() {
      return open;
    },
    get busy() {
      return waiting !== undefined;
    },
    ask(method, path, options = {}) {
      if (!open || waiting !== undefined) throw new Error(open ? 'one request at a time' : 'the connection is closed');
      return new Promise((resolve) => {
        waiting = resolve;
        socket.write(requestText(method, path, key, options));
      });
    },
    close() {
      open = false;
      socket.destroy();
    },
  };
}

function requestText(method: string, path: string, key: string, { json, headers }: AskOptions): string {
  const body = json === undefined ? '' : JSON.stringify(json);
  const fields: Record<string, string> = { host: 'burgee', 'x-api-key': key, ...headers };
  if (body !== '') {
    fields['content-type'] = 'application/json';
    fields['content-length'] = String(Buffer.byteLength(body));
  }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body}`;
}

/** undefined while it is not whole. */
function readReply(received: Buffer): { readonly reply: Reply; readonly bytes: number } | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const bytes = headEnd + 4 + Number(headers.get('content-length') ?? 0);
  if (received.length < bytes) return undefined;
  const text = received.toString('utf8', headEnd + 4, bytes);
  const body = text === '' ? undefined : JSON.parse(text);
  return { reply: { kind: 'reply', status: Number(statusLine.split(' ')[1]), headers, body }, bytes };
}
