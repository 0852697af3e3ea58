// Sends frames that were made in advance over a few connections, so many in flight, and counts what comes back. It looks
// at nothing but the heads of frames: the client must not be what is measured.
import type { Socket } from 'node:net';
import { createFrameReader, OPCODE, type Upgrade, upgrade } from '../../test/support/raw-web-socket.ts';
import { cpuTimes } from './machine.ts';

export interface PipelineOptions {
  readonly target: Upgrade;
  /** Sent first on each connection, and answered by one message. */
  readonly prologue?: Buffer;
  /** One request each, sent in turns. */
  readonly frames: readonly Buffer[];
  /** Of a reply: another one is an error. */
  readonly opcode: number;
  /** A shorter one is an error. */
  readonly replyBytesMin: number;
  readonly connections: number;
  /** Requests without a reply, on each connection. */
  readonly inFlight: number;
  readonly seconds: number;
}

export interface PipelineRun {
  readonly replies: number;
  readonly repliesPerSecond: number;
  readonly seconds: number;
  /** Of one core, 0 to 1. */
  readonly clientCpuShare: number;
}

/** Rejects when a connection closes or a reply is of another kind. */
export async function runPipeline(options: PipelineOptions): Promise<PipelineRun> {
  const { frames, inFlight } = options;
  // All frames one behind the other, twice, so that any number of them in a row goes out in one write.
  const ring = Buffer.concat([...frames, ...frames]);
  const starts = [0];
  for (const frame of [...frames, ...frames]) starts.push((starts.at(-1) as number) + frame.length);
  if (inFlight > frames.length) throw new Error(`${frames.length} frames are too few for ${inFlight} in flight`);
  let replies = 0;
  let stopping = false;
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  failed.catch(() => {});

  function run(socket: Socket, rest: Buffer): void {
    let next = 0;
    let outstanding = 0;
    /** Messages to come before the first reply: the welcome, and what answers the prologue. */
    let before = options.prologue === undefined ? 1 : 2;
    const send = (count: number): void => {
      socket.write(ring.subarray(starts[next], starts[next + count]));
      next = (next + count) % frames.length;
      outstanding += count;
    };
    let answered = 0;
    const reader = createFrameReader(false, (opcode, _payload, _fin, byteCount) => {
      if (opcode === OPCODE.ping) return;
      if (before > 0) before--;
      else if (opcode === options.opcode && byteCount >= options.replyBytesMin) answered++;
      else fail(new Error(`${byteCount} bytes of opcode ${opcode} came instead of a reply`));
    });
    const read = (chunk: Buffer): void => {
      answered = 0;
      const wasBefore = before;
      reader.read(chunk);
      replies += answered;
      outstanding -= answered;
      if (stopping) return;
      if (wasBefore > 0 && before === 0) send(inFlight);
      else if (answered > 0) send(answered);
    };
    socket.on('data', read);
    socket.on('close', () => !stopping && fail(new Error(`a connection was closed with ${outstanding} in flight`)));
    if (options.prologue !== undefined) socket.write(options.prologue);
    read(rest);
    socket.resume();
  }

  const opened = await Promise.all(Array.from({ length: options.connections }, () => upgrade(options.target)));
  const started = { ms: performance.now(), cpu: ownCpuSeconds() };
  for (const { socket, rest } of opened) run(socket, rest);
  try {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, options.seconds * 1000)), failed]);
    const seconds = (performance.now() - started.ms) / 1000;
    const clientCpuShare = (ownCpuSeconds() - started.cpu) / seconds;
    return { replies, repliesPerSecond: replies / seconds, seconds, clientCpuShare };
  } finally {
    stopping = true;
    for (const { socket } of opened) socket.destroy();
  }
}

function ownCpuSeconds(): number {
  const { userSeconds, systemSeconds } = cpuTimes(process.pid);
  return userSeconds + systemSeconds;
}
