// Sockets with very many subscriptions, each for another user, that count which of them were told.
import type { Socket } from 'node:net';
import { createFrameReader, OPCODE, pongTo, textFrame, upgrade } from '../../test/support/raw-web-socket.ts';

/** Of a socket while it subscribes: what a client may have in flight at the least is 64. */
const IN_FLIGHT = 32;
const TOLD_TIMEOUT_MS = 120_000;
const RESULT = '{"type":"result","id":';
const CHANGE = '{"type":"change","id":';

export interface SubscribersOptions {
  readonly port: number;
  readonly key: string;
  readonly flagId: string;
  readonly sockets: number;
  /** Of each socket. */
  readonly subscriptions: number;
}

export interface Subscribers {
  readonly total: number;
  /** Resolves when each has its first result. */
  subscribe(): Promise<void>;
  /** From here on counts the changes that come; resolves when each subscription was told once. */
  allTold(): Promise<void>;
  /** Messages that were not expected: rejects everything that waits, and is kept here. */
  readonly problem: () => Error | undefined;
  readonly open: readonly Socket[];
  close(): void;
}

/** Opens the sockets and waits for their welcomes. Nothing is subscribed yet. */
export async function openSubscribers(options: SubscribersOptions): Promise<Subscribers> {
  const total = options.sockets * options.subscriptions;
  const told = new Uint8Array(total);
  let missing = 0;
  let expected = RESULT;
  let problem: Error | undefined;
  let finish: () => void = () => {};
  let fail: (error: Error) => void = () => {};
  let closing = false;

  function wrong(message: string): void {
    problem ??= new Error(message);
    fail(problem);
  }

  /** Resolves when each subscription was told by a message that begins so. */
  async function round(prefix: string): Promise<void> {
    told.fill(0);
    missing = total;
    expected = prefix;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      finish = resolve;
      fail = reject;
      timer = setTimeout(() => wrong(`${missing} of ${total} were not told in time`), TOLD_TIMEOUT_MS);
      if (problem !== undefined) reject(problem);
    }).finally(() => clearTimeout(timer));
  }

  function receive(index: number, message: Buffer): void {
    if (message.toString('latin1', 0, expected.length) !== expected) {
      return wrong(`socket ${index}: ${message.toString('utf8', 0, 200)} came instead of ${expected}`);
    }
    let id = 0;
    for (let at = expected.length; ; at++) {
      const digit = (message[at] as number) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      id = id * 10 + digit;
    }
    const place = index * options.subscriptions + id - 1;
    if (told[place] !== 0) return wrong(`socket ${index}: subscription ${id} was told twice, or is none`);
    told[place] = 1;
    missing--;
    if (missing === 0) finish();
  }

  const senders: (() => void)[] = [];
  async function open(index: number): Promise<Socket> {
    const { socket, rest } = await upgrade({ port: options.port, key: options.key });
    let sent = 0;
    const send = (): void => {
      if (sent === options.subscriptions) return;
      sent++;
      const user = `subscriber-${index}-${sent}`;
      socket.write(
        textFrame({ type: 'subscribe', id: sent, environment: 'prod', user_id: user, flags: [options.flagId] }),
      );
    };
    await new Promise<void>((resolve) => {
      let isWelcomed = false;
      const reader = createFrameReader(true, (opcode, payload) => {
        if (opcode === OPCODE.close) wrong(`socket ${index} was closed: ${payload?.toString('utf8', 2)}`);
        if (opcode === OPCODE.ping) socket.write(pongTo(payload));
        if (opcode !== OPCODE.text) return;
        if (!isWelcomed) {
          isWelcomed = true;
          return resolve();
        }
        receive(index, payload as Buffer);
        send();
      });
      socket.on('data', (chunk: Buffer) => reader.read(chunk));
      socket.on('close', () => !closing && wrong(`socket ${index} was closed`));
      reader.read(rest);
      socket.resume();
    });
    senders.push(send);
    return socket;
  }

  const opened = await Promise.all(Array.from({ length: options.sockets }, (_, i) => open(i)));
  return {
    total,
    async subscribe() {
      const done = round(RESULT);
      for (const send of senders) for (let i = 0; i < IN_FLIGHT; i++) send();
      await done;
    },
    allTold: () => round(CHANGE),
    problem: () => problem,
    open: opened,
    close() {
      closing = true;
      for (const socket of opened) socket.destroy();
    },
  };
}
