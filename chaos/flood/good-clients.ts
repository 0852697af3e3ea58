// Clients as one would wish for: a known rate over kept connections, each request timed from when it should have been
// sent, so that a client that is made to wait does not hide it.
import { connect, type Socket } from 'node:net';

export interface Timings {
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface GoodClients {
  /** What was answered since the last call. */
  take(): Timings;
  stop(): void;
}

export function startGoodClients(options: {
  readonly port: number;
  readonly key: string;
  readonly path: string;
  readonly clients: number;
  readonly perSecond: number;
}): GoodClients {
  const request = `GET ${options.path} HTTP/1.1\r\nHost: good\r\nX-API-Key: ${options.key}\r\n\r\n`;
  let times: number[] = [];
  let failed = 0;
  let isStopped = false;
  const periodMs = (1000 * options.clients) / options.perSecond;

  function run(index: number): void {
    let socket: Socket | undefined;
    let dueMs: number | undefined;
    let nextMs = performance.now() + (periodMs * index) / options.clients;

    function open(): Socket {
      const opened = connect(options.port, '127.0.0.1');
      opened.setNoDelay(true);
      let received = '';
      opened.on('data', (chunk) => {
        received += chunk.toString('latin1');
        const headEnd = received.indexOf('\r\n\r\n');
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
        if (headEnd < 0 || received.length < headEnd + 4 + length) return;
        if (!received.startsWith('HTTP/1.1 200')) failed += 1;
        else if (dueMs !== undefined) times.push(performance.now() - dueMs);
        received = '';
        dueMs = undefined;
        schedule();
      });
      opened.on('error', () => {});
      opened.on('close', () => {
        if (socket === opened) socket = undefined;
        if (dueMs === undefined || isStopped) return;
        failed += 1;
        dueMs = undefined;
        schedule();
      });
      return opened;
    }
    function ask(): void {
      if (isStopped) return void socket?.destroy();
      // A timer may be early by a part of a millisecond.
      dueMs = Math.min(nextMs, performance.now());
      nextMs += periodMs;
      socket ??= open();
      socket.write(request);
    }
    function schedule(): void {
      setTimeout(ask, Math.max(0, nextMs - performance.now()));
    }
    schedule();
  }

  for (let i = 0; i < options.clients; i++) run(i);
  return {
    take() {
      const sorted = times.sort((a, b) => a - b);
      const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
      const taken = {
        requests: sorted.length + failed,
        failed,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        maxMs: sorted.at(-1) ?? 0,
      };
      times = [];
      failed = 0;
      return taken;
    },
    stop() {
      isStopped = true;
    },
  };
}
