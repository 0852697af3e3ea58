// The ordinary clients: sockets that ask for one user now and then, each when its last answer is there. In a process of
// its own, so that whoever loads the worker does not delay the measuring. Its parent asks for what was measured.
import { createFrameReader, OPCODE, pongTo, textFrame, upgrade } from '../../test/support/raw-web-socket.ts';
import type { ProberOptions } from './probe.ts';

const USERS = 1000;
const SAMPLES_MAX = 4_000_000;

const options = JSON.parse(process.argv[2] as string) as ProberOptions;
const sentAtMs = new Float64Array(SAMPLES_MAX);
const tookMs = new Float64Array(SAMPLES_MAX);
let count = 0;

process.on('message', () => {
  process.send?.({ sentAtMs: sentAtMs.slice(0, count), tookMs: tookMs.slice(0, count) });
  count = 0;
});
process.once('disconnect', () => process.exit(0));

await Promise.all(Array.from({ length: options.sockets }, (_, i) => probe(i)));
process.send?.('ready');

/** Milliseconds since 1970: the parent's clock is the same. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

async function probe(index: number): Promise<void> {
  const { socket, rest } = await upgrade({ port: options.port, key: options.key });
  const frames = Array.from({ length: USERS }, (_, i) =>
    textFrame({
      type: 'evaluate',
      id: i + 1,
      environment: 'prod',
      user_id: `probe-${index}-${i}`,
      flags: options.flags,
    }),
  );
  let next = 0;
  let isWelcomed = false;
  let startMs = 0;
  let dueMs = nowMs() + Math.random() * options.intervalMs;

  function ask(isLate: boolean): void {
    // Asked late because the last answer was: the wait counts from when it should have been asked. What was missed in
    // between is not made up for, or a client that was held up once would press on ever after.
    startMs = isLate ? dueMs : nowMs();
    dueMs = nowMs() + options.intervalMs;
    socket.write(frames[next] as Buffer);
    next = (next + 1) % frames.length;
  }
  function plan(): void {
    const waitMs = dueMs - nowMs();
    if (waitMs <= 0) ask(true);
    else setTimeout(ask, waitMs, false);
  }
  const reader = createFrameReader(true, (opcode, payload) => {
    if (opcode === OPCODE.ping) return void socket.write(pongTo(payload));
    if (opcode === OPCODE.close)
      throw new Error(`socket ${index} of the prober was closed: ${payload?.toString('utf8', 2)}`);
    if (!isWelcomed) {
      isWelcomed = true;
      return plan();
    }
    if (!payload?.toString('latin1', 0, 16).startsWith('{"type":"result"')) throw new Error(`answered ${payload}`);
    const endMs = nowMs();
    if (count < SAMPLES_MAX) {
      sentAtMs[count] = startMs;
      tookMs[count] = endMs - startMs;
      count++;
    }
    plan();
  });
  socket.on('data', (chunk: Buffer) => reader.read(chunk));
  socket.on('close', () => {
    throw new Error(`socket ${index} of the prober was closed`);
  });
  reader.read(rest);
  socket.resume();
}
