// Names in Linux's abstract socket namespace: exclusive within a network namespace, and gone with their process. No file
// stands for them, so none can be removed.
import { connect, createServer } from 'node:net';
import { type Clock, delay } from './clock.ts';
import { listen } from './lock-socket.ts';
import { codeOf } from './run-dir.ts';

/** Size of sun_path. Filled up with zeros ourselves: whether a Node release sends the rest or cuts it off then matters no more. */
const NAME_BYTES = 108;
const ASK_MS_MAX = 500;
const POLL_MS = 50;

export interface Hold {
  /** Gives the name back. May be called twice. */
  close(): Promise<void>;
}

export const NOTHING_HELD: Hold = { close: async () => {} };

/** A name in Linux's abstract socket namespace. */
export function abstractName(name: string): string {
  return `\0${name}`.padEnd(NAME_BYTES, '\0');
}

/** undefined when a living process has it, stopped or not. */
export async function tryHold(name: string): Promise<Hold | undefined> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid}\n`, () => socket.destroy());
  });
  try {
    await listen(server, name);
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return undefined;
    throw error;
  }
  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= new Promise((resolve) => server.close(() => resolve()));
      return closing;
    },
  };
}

/** The same, for a name whose owner may just be ending: tries again until `graceMs` are over. */
export async function holdWithin(name: string, clock: Clock, graceMs: number): Promise<Hold | undefined> {
  const deadlineMs = clock.nowMs() + graceMs;
  let hold = await tryHold(name);
  while (hold === undefined && clock.nowMs() < deadlineMs) {
    await delay(clock, POLL_MS);
    hold = await tryHold(name);
  }
  return hold;
}

// The owner says its pid to whoever connects; one that is frozen, or no Burgee at all, says nothing.
export function askOwner(name: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(name);
    const settle = (): void => {
      clearTimeout(timer);
      socket.destroy();
      const pid = Number(/^([1-9][0-9]{0,9})\n/.exec(said)?.[1]);
      resolve(Number.isSafeInteger(pid) ? pid : undefined);
    };
    const timer = setTimeout(settle, ASK_MS_MAX);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      said += chunk;
      if (said.length >= 16) settle();
    });
    socket.on('end', settle);
    socket.on('error', settle);
  });
}
