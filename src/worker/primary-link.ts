// The worker's side of the local socket: dials the primary, and dials again each 200 ms when it is gone. While it is
// gone the worker serves on from memory; only what needs the store is refused.
import { connect, type Socket } from 'node:net';
import { createFrameReader, decodeToWorker, encodeToPrimary } from '../ipc/frame.ts';
import type { CommandOutcome, Lease, ToPrimary, ToWorker, UnknownFlags } from '../ipc/messages.ts';
import { limits } from '../limits.ts';
import type { PrimaryLink } from './serving.ts';

const REDIAL_MS = 200;
const COMMAND_MS_MAX = 10_000;
/** A list of a million ids is read, sorted, stored and laid down as a file before its command is answered. */
const LIST_COMMAND_MS_MAX = 60_000;
/** For what the primary has at hand. */
const TELL_MS_MAX = 1000;

const NO_PRIMARY: CommandOutcome = {
  ok: false,
  code: 'STORAGE_UNAVAILABLE',
  detail: 'The primary process is restarting; nothing was written. Try again shortly.',
};
const TOO_MANY: CommandOutcome = {
  ok: false,
  code: 'STORAGE_UNAVAILABLE',
  detail: 'Too many writes wait for the store already; nothing was written. Try again shortly.',
};
const NO_ANSWER: CommandOutcome = {
  ok: false,
  code: 'OUTCOME_UNKNOWN',
  detail:
    'The answer did not arrive, so the write may or may not have happened. Repeat it with the same Idempotency-Key.',
};

/** What this link itself waits for, or hands to the limiter. */
export type Settled = { readonly type: 'outcome' | 'lease' | 'clock' | 'metrics' | 'unknown_report' | 'welcome' };

export interface DialledLink extends PrimaryLink {
  /** Starts dialling, and goes on until close(). */
  start(): void;
  close(): void;
  /** What the linked primary understands, as far as it has said so. */
  readonly protocol: number;
}

export function createPrimaryLink(deps: {
  readonly socketPath: () => string;
  /** What to say first on every new connection. */
  readonly hello: () => Extract<ToPrimary, { type: 'hello' }>;
  /** Snapshots, deltas, confirmations and drain; the others are settled here. */
  readonly receive: (message: Exclude<ToWorker, Settled>) => void;
  readonly onConnected: () => void;
  readonly onLost: () => void;
  /** A link was dropped because its primary is not the latest. */
  readonly onStale: () => void;
  readonly warn: (fields: object, message: string) => void;
}): DialledLink {
  let socket: Socket | undefined;
  let connected = false;
  let closed = false;
  let redial: NodeJS.Timeout | undefined;
  let lastId = 0;
  /** The latest that was heard of; 0: none. */
  let term = 0;
  /** Of the primary that is linked: one that says no welcome is of protocol 1. */
  let protocol = 1;
  const commands = new Map<number, (outcome: CommandOutcome) => void>();
  const metrics = new Map<number, (text: string | undefined) => void>();
  const reports = new Map<number, (report: UnknownFlags | undefined) => void>();
  let receiveLease: (lease: Lease) => void = () => {};
  let setClock: (offsetMs: number, nodes: number) => void = () => {};

  function nextId(): number {
    lastId = (lastId + 1) >>> 0;
    return lastId;
  }

  function dial(): void {
    let dialled: Socket;
    try {
      dialled = connect(deps.socketPath());
    } catch {
      // Where the path is too long it is looked up in a file, which may be gone or unreadable: no reason to stop serving.
      redial = setTimeout(dial, REDIAL_MS);
      return;
    }
    socket = dialled;
    const reader = createFrameReader(limits.ipcFrameBytesMax, (type, bytes) => {
      // What came behind the message for which the link was dropped.
      if (dialled.destroyed) return;
      const message = decodeToWorker(type, bytes);
      if (message?.type === 'welcome') meet(message.term, dialled);
      else if (message !== undefined) take(message);
    });
    dialled.on('connect', () => {
      connected = true;
      protocol = 1;
      dialled.write(encodeToPrimary({ ...deps.hello(), ...(term === 0 ? {} : { term }) }));
      deps.onConnected();
    });
    dialled.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        deps.warn({ err: error }, 'the primary sent what this build cannot read');
        dialled.destroy();
      }
    });
    // An error is always followed by close, which is where it is handled.
    dialled.on('error', () => {});
    dialled.on('close', () => {
      if (socket !== dialled) return;
      socket = undefined;
      if (connected) lost();
      if (!closed) redial = setTimeout(dial, REDIAL_MS);
    });
  }

  /** A primary of an earlier term was frozen while another took its place, and does not know it yet. */
  function meet(itsTerm: number, dialled: Socket): void {
    protocol = 2;
    if (itsTerm >= term) {
      term = itsTerm;
      return;
    }
    deps.onStale();
    deps.warn({ term, stale_term: itsTerm }, 'dropped the link to a primary that another has replaced');
    dialled.destroy();
  }

  function lost(): void {
    connected = false;
    for (const settle of commands.values()) settle(NO_ANSWER);
    for (const settle of metrics.values()) settle(undefined);
    for (const settle of reports.values()) settle(undefined);
    deps.onLost();
  }

  function take(message: Exclude<ToWorker, { type: 'welcome' }>): void {
    switch (message.type) {
      case 'outcome':
        commands.get(message.id)?.(message.outcome);
        break;
      case 'metrics':
        metrics.get(message.id)?.(message.text);
        break;
      case 'unknown_report':
        reports.get(message.id)?.(message.report);
        break;
      case 'lease':
        receiveLease(message.lease);
        break;
      case 'clock':
        setClock(message.offsetMs, message.nodes);
        break;
      default:
        deps.receive(message);
    }
  }

  function send(message: ToPrimary): void {
    if (!connected || socket === undefined) return;
    // A primary that is stopped reads nothing, until its launcher ends it.
    if (socket.writableLength > limits.ipcBacklogBytesMax) socket.destroy();
    else socket.write(encodeToPrimary(message));
  }

  /** Sends and waits for the answer with this id; `fallback` after `timeoutMs`. */
  function ask<T>(
    pending: Map<number, (answer: T) => void>,
    id: number,
    message: ToPrimary,
    timeoutMs: number,
    fallback: T,
  ): Promise<T> {
    return new Promise((resolve) => {
      const settle = (answer: T): void => {
        clearTimeout(timer);
        pending.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(() => settle(fallback), timeoutMs);
      pending.set(id, settle);
      send(message);
    });
  }

  return {
    get connected() {
      return connected;
    },
    get term() {
      return term;
    },
    get protocol() {
      return protocol;
    },
    start: dial,
    send,
    command(request) {
      if (!connected) return Promise.resolve(NO_PRIMARY);
      if (commands.size >= limits.commandsInFlightMax) return Promise.resolve(TOO_MANY);
      const id = nextId();
      const timeoutMs = request.command.type === 'segment.replace_members' ? LIST_COMMAND_MS_MAX : COMMAND_MS_MAX;
      return ask(commands, id, { type: 'command', request: { ...request, id } }, timeoutMs, NO_ANSWER);
    },
    metrics() {
      if (!connected) return Promise.resolve(undefined);
      const id = nextId();
      return ask<string | undefined>(metrics, id, { type: 'metrics', id }, TELL_MS_MAX, undefined);
    },
    unknownFlags() {
      if (!connected) return Promise.resolve(undefined);
      const id = nextId();
      return ask<UnknownFlags | undefined>(reports, id, { type: 'unknown_report', id }, TELL_MS_MAX, undefined);
    },
    onLease(receive, takeClock) {
      receiveLease = receive;
      setClock = takeClock;
    },
    close() {
      closed = true;
      clearTimeout(redial);
      socket?.destroy();
    },
  };
}
