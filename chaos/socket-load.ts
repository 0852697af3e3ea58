// WebSockets that evaluate, and an honest record of what each of them saw.
import { WebSocket } from 'ws';

export interface SocketRecord {
  evaluations: number;
  /** Sent and not answered, and handshakes that were refused. */
  failed: number;
  /** Of the failed: sent to a server that had said goodbye, and closed meanwhile. */
  raced: number;
  /** The longest time any one client (a socket and those that replace it) went without an answer, in milliseconds. */
  longestGapMs: number;
  slowestMs: number;
  goodbyes: number;
  reconnects: number;
  /** By code. */
  readonly closes: Map<number, number>;
  readonly reasons: string[];
}

export interface SocketLoad {
  readonly record: SocketRecord;
  /** Stops asking, waits for what is out, and resolves with the record. */
  stop(): Promise<SocketRecord>;
}

export interface SocketLoadOptions {
  readonly port: number;
  readonly sockets: number;
  readonly key: string;
  readonly flagId: string;
  /** Pause between an answer and the next question, in milliseconds. */
  readonly thinkMs: number;
  /** Whether they know `goodbye`: then they ask nothing in the last moments of their time. */
  readonly heedGoodbye: boolean;
}

/** So long before its time a client that knows of it sends nothing new. */
const LAST_MOMENTS_MS = 250;
/** Between a refused handshake and the next one. */
const RETRY_MS = 20;

export function startSocketLoad(options: SocketLoadOptions): SocketLoad {
  const record: SocketRecord = {
    evaluations: 0,
    failed: 0,
    raced: 0,
    longestGapMs: 0,
    slowestMs: 0,
    goodbyes: 0,
    reconnects: 0,
    closes: new Map(),
    reasons: [],
  };
  let stopping = false;

  function fail(reason: string): void {
    record.failed++;
    if (record.reasons.length < 5) record.reasons.push(reason);
  }

  async function run(): Promise<void> {
    const client = { lastGoodMs: performance.now() };
    while (!stopping) await oneSocket(client);
    record.longestGapMs = Math.max(record.longestGapMs, performance.now() - client.lastGoodMs);
  }

  /** Asks on one socket until it is closed. */
  function oneSocket(client: { lastGoodMs: number }): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${options.port}/api/v1/ws`, {
        headers: { 'x-api-key': options.key },
        perMessageDeflate: false,
      });
      let id = 0;
      let sentMs: number | undefined;
      let leaveAtMs = Number.POSITIVE_INFINITY;
      let isOpen = false;
      let trouble = '';

      function ask(): void {
        if (stopping) return socket.close(1000);
        if (options.heedGoodbye && performance.now() > leaveAtMs - LAST_MOMENTS_MS) return;
        if (socket.readyState !== WebSocket.OPEN) return;
        record.evaluations++;
        sentMs = performance.now();
        socket.send(JSON.stringify({ type: 'evaluate', id: ++id, user_id: 'user-1', flags: [options.flagId] }));
      }
      socket.on('message', (bytes: Buffer) => {
        const now = performance.now();
        const message = JSON.parse(bytes.toString('utf8')) as { type: string; reconnect_after_ms?: number };
        if (message.type === 'goodbye') {
          record.goodbyes++;
          leaveAtMs = now + (message.reconnect_after_ms ?? 0);
          return;
        }
        if (message.type === 'welcome') {
          isOpen = true;
          return ask();
        }
        record.slowestMs = Math.max(record.slowestMs, now - (sentMs ?? now));
        sentMs = undefined;
        if (message.type === 'result') {
          record.longestGapMs = Math.max(record.longestGapMs, now - client.lastGoodMs);
          client.lastGoodMs = now;
        } else fail(JSON.stringify(message).slice(0, 200));
        setTimeout(ask, options.thinkMs);
      });
      socket.on('error', (error) => {
        trouble = error.message;
      });
      socket.on('close', (code) => {
        record.closes.set(code, (record.closes.get(code) ?? 0) + 1);
        if (!isOpen) fail(`no welcome: ${trouble}`);
        else if (sentMs !== undefined) {
          if (leaveAtMs < Number.POSITIVE_INFINITY) record.raced++;
          fail(`closed with ${code} and a question out`);
        }
        if (!stopping) record.reconnects++;
        setTimeout(resolve, isOpen || stopping ? 0 : RETRY_MS);
      });
    });
  }

  const running = Promise.all(Array.from({ length: options.sockets }, run));
  return {
    record,
    async stop() {
      stopping = true;
      await running;
      return record;
    },
  };
}
