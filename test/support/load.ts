// A constant load over kept connections, and an honest record of it: every request is answered, failed or still out.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface LoadRecord {
  requests: number;
  failed: number;
  /** Of the failed: sent on a kept connection while the other side closed it as an idle one. Not a byte came back. */
  raced: number;
  /** The longest time any one client (a connection and those that replace it) went without a good answer, in milliseconds. */
  longestGapMs: number;
  /** The longest any single request took until its answer or its failure, in milliseconds. */
  slowestMs: number;
  /** Connections that were closed by the other side while idle or after an answer that said so; no request was lost. */
  reconnects: number;
  /** Connections that could not be had; where each request has its own, it has failed. */
  refused: number;
  /** First few reasons of failure. */
  readonly reasons: string[];
}

export interface Load {
  readonly record: LoadRecord;
  /** Stops asking, waits for what is out, and resolves with the record. */
  stop(): Promise<LoadRecord>;
  /** Resolves when this many more requests were answered well. */
  answered(count: number): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly path: string;
  readonly key: string;
  /** Over TLS, with this certificate (PEM) or one that it has signed; several may follow each other. */
  readonly ca?: string;
  /** Pause between an answer and the next request, in milliseconds. */
  readonly thinkMs?: number;
  /** JSON to POST; undefined: GET. */
  readonly body?: string;
  /** A new connection for each request. */
  readonly connectEach?: boolean;
  /** Told of each answer: how long it took, in milliseconds, and its status line and headers. */
  readonly onAnswer?: (tookMs: number, head: string) => void;
}

/** Each connection asks again as soon as it was answered. A reply counts as good when its status is 200. */
export function startLoad(options: LoadOptions): Load {
  const request = requestOf(options);
  const record: LoadRecord = {
    requests: 0,
    failed: 0,
    raced: 0,
    longestGapMs: 0,
    slowestMs: 0,
    reconnects: 0,
    refused: 0,
    reasons: [],
  };
  const watchers = new Set<() => void>();
  let stopping = false;
  let good = 0;

  function fail(reason: string): void {
    record.failed++;
    if (record.reasons.length < 5) record.reasons.push(reason);
  }

  async function run(): Promise<void> {
    const client = { lastGoodMs: performance.now() };
    while (!stopping) await oneConnection(client);
    record.longestGapMs = Math.max(record.longestGapMs, performance.now() - client.lastGoodMs);
  }

  /** Asks on one connection until it ends or the load stops. */
  function oneConnection(client: { lastGoodMs: number }): Promise<void> {
    return new Promise((resolve) => {
      const where = { port: options.port, host: '127.0.0.1' };
      const socket: Socket = options.ca === undefined ? connect(where) : connectTls({ ...where, ca: options.ca });
      socket.setNoDelay(true);
      let sentMs: number | undefined;
      let received = '';
      let ended = false;
      let answers = 0;
      // Where each request has a connection of its own, one that cannot be had is a request that failed.
      if (options.connectEach === true) begin();

      function begin(): void {
        record.requests++;
        sentMs = performance.now();
      }
      function ask(): void {
        if (stopping || ended) return void socket.destroy();
        begin();
        socket.write(request);
      }
      function end(reason: string): void {
        if (ended) return;
        ended = true;
        if (socket.connecting || socket.bytesWritten === 0) record.refused++;
        if (sentMs !== undefined) {
          record.slowestMs = Math.max(record.slowestMs, performance.now() - sentMs);
          if (answers > 0 && received === '') record.raced++;
          fail(reason);
        } else if (!stopping && options.connectEach !== true) record.reconnects++;
        // A refused connection is tried again soon, not in a tight loop.
        setTimeout(resolve, stopping ? 0 : options.connectEach === true ? (options.thinkMs ?? 0) : 5);
      }
      const opened = options.ca === undefined ? 'connect' : 'secureConnect';
      socket.on(opened, options.connectEach === true ? () => socket.write(request) : ask);
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        const headEnd = received.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
        if (received.length < headEnd + 4 + length) return;
        const now = performance.now();
        record.slowestMs = Math.max(record.slowestMs, now - (sentMs ?? now));
        options.onAnswer?.(now - (sentMs ?? now), received.slice(0, headEnd));
        sentMs = undefined;
        answers++;
        if (received.startsWith('HTTP/1.1 200')) {
          record.longestGapMs = Math.max(record.longestGapMs, now - client.lastGoodMs);
          client.lastGoodMs = now;
          good++;
          for (const watch of watchers) watch();
        } else fail(received.slice(0, 200));
        const closes = /connection: close/i.test(received.slice(0, headEnd));
        received = '';
        if (options.connectEach === true) socket.destroy();
        else if (closes) socket.end();
        else if (options.thinkMs === undefined) ask();
        else setTimeout(ask, options.thinkMs);
      });
      socket.on('error', (error) => end(error.message));
      socket.on('close', () => end('closed with a request out'));
    });
  }

  const running = Promise.all(Array.from({ length: options.connections }, run));
  return {
    record,
    async stop() {
      stopping = true;
      await running;
      return record;
    },
    answered(count) {
      const target = good + count;
      return new Promise((resolve) => {
        const watch = (): void => {
          if (good < target) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
      });
    },
  };
}

function requestOf({ path, key, body, connectEach }: LoadOptions): Buffer {
  const lines = [`${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1`, 'Host: t', `X-API-Key: ${key}`];
  if (connectEach === true) lines.push('Connection: close');
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`);
}
