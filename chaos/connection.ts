// One kept HTTP/1.1 connection with one request at a time. `fetch` pools its connections, so it cannot say which
// worker a request goes to, nor tell a refused connection from a lost answer.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: experiments look into replies of every route
  readonly body: any;
}

export interface Connection {
  /** Rejects when the connection breaks before the whole reply is there. */
  request(
    method: string,
    path: string,
    options?: {
      readonly json?: unknown;
      /** JSON as it is; goes before `json`. */
      readonly text?: string;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ): Promise<Reply>;
  readonly open: boolean;
  close(): void;
}

export async function openConnection(port: number, key: string): Promise<Connection> {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');
  let open = true;
  let received = Buffer.alloc(0);
  let waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined;

  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const headEnd = received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n');
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const bodyEnd = headEnd + 4 + Number(headers.get('content-length') ?? 0);
    if (received.length < bodyEnd) return;
    const text = received.toString('utf8', headEnd + 4, bodyEnd);
    received = received.subarray(bodyEnd);
    const answered = waiting;
    waiting = undefined;
    answered?.resolve({
      status: Number(statusLine.split(' ')[1]),
      headers,
      body: text === '' ? undefined : JSON.parse(text),
    });
  });
  function end(): void {
    open = false;
    waiting?.reject(new Error('the connection closed before the answer'));
    waiting = undefined;
  }
  socket.on('error', end);
  socket.on('close', end);

  return {
    get open() {
      return open;
    },
    request(method, path, options = {}) {
      if (!open) return Promise.reject(new Error('the connection is closed'));
      const body = options.text ?? (options.json === undefined ? '' : JSON.stringify(options.json));
      const headers: Record<string, string> = { host: 'burgee', 'x-api-key': key, ...options.headers };
      if (body !== '')
        Object.assign(headers, {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
        });
      const head = Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`);
      });
    },
    close() {
      socket.destroy();
    },
  };
}

/** Tries again until the port accepts. */
export async function reopen(port: number, key: string): Promise<Connection> {
  for (;;) {
    try {
      return await openConnection(port, key);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
