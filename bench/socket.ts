// How near batches over the socket come to a server that does nothing: the service and a bare uWebSockets.js server that
// sends the same bytes to the same frames, in turns, each from one process on one core, with the client on another.
//
//   npm run bench:socket                              all modes, five pairs of five seconds each
//   npm run bench:socket -- --mode binary --pairs 3 --seconds 2
//
// Modes: binary (100 users x 100 flags a frame), packed (the same, a bit an answer), json (one user x 100 flags a
// message), json-named (the same, the flags named). For JSON the bare server parses each message too.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compileFlag } from '../src/core/compile.ts';
import type { CompiledFlag } from '../src/core/compiled.ts';
import { type BinaryUser, decodeReply, encodeRequest } from '../test/support/binary-client.ts';
import { clientFrame, OPCODE, openRawWebSocket, type RawWebSocket, textFrame } from '../test/support/raw-web-socket.ts';
import { kernelMicros } from './socket/kernel-time.ts';
import { cpuTimes, median, pin, positiveInteger, WORKER_CORE, warnWhenBusy } from './socket/machine.ts';
import { HIGH_LIMIT_PER_MINUTE, type MeasuredService, startMeasuredService } from './socket/measured-service.ts';
import { runPipeline } from './socket/pipeline.ts';

const BARE_SERVER = fileURLToPath(new URL('./socket/bare-server.mjs', import.meta.url));
const FLAGS = 100;
const USERS = 100;
/** Different frames, so that nothing can remember an answer. */
const FRAMES = 256;
const CONNECTIONS = 4;
const IN_FLIGHT = 16;
const BINARY_PER_SECOND_TARGET = 20e6;
const JSON_RATIO_TARGET = 0.6;
const REQUEST_HEAD_BYTES = 12;
/** Replies differ in the words on and off, true and false; an error is shorter than any. */
const REPLY_SHARE_MIN = 0.8;
const SATURATED_SHARE = 0.95;
/** Of the users of the first frame: so many are also asked one by one. */
const SAMPLE_EVERY = 20;
const MODES = ['binary', 'packed', 'json', 'json-named'] as const;
type Mode = (typeof MODES)[number];

interface Exchange {
  readonly mode: Mode;
  /** Makes the handle that the frames name. */
  readonly prologue?: Buffer;
  readonly frames: readonly Buffer[];
  readonly opcode: number;
  /** What the service answers to the first of them. */
  readonly reply: Buffer;
  readonly evaluationsPerFrame: number;
  /** Of a binary frame: what the kernel alone takes for one. */
  readonly kernelMicros?: number;
}

interface Side {
  readonly evaluationsPerSecond: number;
  /** A frame. */
  readonly cpuMicros: { readonly user: number; readonly system: number };
  /** Of one core, 0 to 1. */
  readonly serverShare: number;
  readonly clientShare: number;
}

const { values: options } = parseArgs({
  options: {
    mode: { type: 'string', default: 'all' },
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
  },
});
const pairCount = positiveInteger('pairs', options.pairs);
const seconds = positiveInteger('seconds', options.seconds);
const modes = MODES.filter((mode) => options.mode === 'all' || mode === options.mode);
if (modes.length === 0) throw new Error(`--mode takes all, ${MODES.join(', ')}, not ${options.mode}`);

const service = await startMeasuredService(
  Array.from({ length: FLAGS }, (_, i) => ({ flag_id: flagId(i), enabled: true, rollout_percentage: (i % 99) + 0.5 })),
  { rateLimit: HIGH_LIMIT_PER_MINUTE },
);
try {
  warnWhenBusy();
  for (const mode of modes) await compare(await prepare(service, mode));
  service.checkWorker();
} finally {
  await service.close();
}

function flagId(i: number): string {
  return `feature-${String(i).padStart(3, '0')}`;
}

function userId(frame: number, user: number): string {
  return `user-${frame * USERS + user}`;
}

/** Makes the frames of a mode, and checks an answer against single evaluations over HTTP. */
async function prepare(measured: MeasuredService, mode: Mode): Promise<Exchange> {
  const socket = await openRawWebSocket({ port: measured.port, key: measured.key });
  try {
    return mode === 'binary' || mode === 'packed'
      ? await prepareBinary(measured, socket, mode)
      : await prepareJson(measured, socket, mode);
  } finally {
    socket.close();
  }
}

async function prepareBinary(measured: MeasuredService, socket: RawWebSocket, mode: Mode): Promise<Exchange> {
  const prologue = textFrame({ type: 'prepare', id: 1, environment: 'prod' });
  socket.write(prologue);
  const prepared = await socket.nextJson();
  if (prepared.flags?.length !== FLAGS) throw new Error(`prepare answered ${JSON.stringify(prepared)}`);
  const users = (frame: number): readonly BinaryUser[] =>
    Array.from({ length: USERS }, (_, i) => ({ userId: userId(frame, i) }));
  const request = { op: 1, options: mode === 'packed' ? 1 : 0, handle: prepared.handle };
  // A handle lives as long as its socket: that of the first prepare is the same on each.
  const frames = Array.from({ length: FRAMES }, (_, frame) =>
    clientFrame(OPCODE.binary, encodeRequest({ ...request, id: 1000 + frame, users: users(frame) })),
  );
  socket.write(frames[0] as Buffer);
  const reply = await socket.nextBinary();
  const { userCount, cell } = decodeReply(reply);
  if (userCount !== USERS) throw new Error(`${userCount} users were answered`);
  for (let user = 0; user < USERS; user += SAMPLE_EVERY) {
    for (const [i, { flag_id: id, variants }] of prepared.flags.entries()) {
      const single = await evaluateSingle(measured, id, userId(0, user));
      const answered = mode === 'packed' ? cell(user, i) === 1 : variants[cell(user, i)];
      const expected = mode === 'packed' ? single.enabled : single.variant;
      if (answered !== expected) throw new Error(`${id} of ${userId(0, user)}: ${answered}, single ${expected}`);
    }
  }
  const request0 = encodeRequest({ ...request, id: 1000, users: users(0) });
  return {
    mode,
    frames,
    prologue,
    opcode: OPCODE.binary,
    reply,
    evaluationsPerFrame: USERS * FLAGS,
    kernelMicros: kernelMicros(
      await compiledFlags(measured),
      request0.subarray(REQUEST_HEAD_BYTES),
      USERS,
      mode === 'packed',
    ),
  };
}

async function compiledFlags(measured: MeasuredService): Promise<readonly CompiledFlag[]> {
  const flags: CompiledFlag[] = [];
  for (let i = 0; i < FLAGS; i++) {
    const document = await measured.ask('GET', `/api/v1/flags/${flagId(i)}?environment=prod`, undefined);
    flags.push(compileFlag(JSON.stringify(document), { environment: 'prod', id: flagId(i) }));
  }
  return flags;
}

async function prepareJson(measured: MeasuredService, socket: RawWebSocket, mode: Mode): Promise<Exchange> {
  const named = mode === 'json-named' ? { flags: Array.from({ length: FLAGS }, (_, i) => flagId(i)) } : {};
  const frames = Array.from({ length: FRAMES }, (_, frame) =>
    textFrame({ type: 'evaluate', id: 1000 + frame, environment: 'prod', user_id: userId(frame, 0), ...named }),
  );
  socket.write(frames[0] as Buffer);
  const arrival = await socket.next();
  if (arrival.kind !== 'text') throw new Error(`evaluate was answered with ${arrival.kind}`);
  const { type, results } = JSON.parse(arrival.text);
  if (type !== 'result') throw new Error(`evaluate answered ${arrival.text}`);
  for (let i = 0; i < FLAGS; i++) {
    const single = await evaluateSingle(measured, flagId(i), userId(0, 0));
    for (const field of ['enabled', 'variant', 'value', 'reason', 'version']) {
      if (results[flagId(i)][field] !== single[field])
        throw new Error(`${flagId(i)}: ${field} differs in ${arrival.text}`);
    }
  }
  return { mode, frames, opcode: OPCODE.text, reply: Buffer.from(arrival.text), evaluationsPerFrame: FLAGS };
}

// biome-ignore lint/suspicious/noExplicitAny: the reply of an evaluation
async function evaluateSingle(measured: MeasuredService, id: string, user: string): Promise<any> {
  return measured.ask('GET', `/api/v1/flags/${id}/evaluate?user_id=${user}&environment=prod`, undefined);
}

async function compare(exchange: Exchange): Promise<void> {
  const bare = await startBareServer(exchange);
  try {
    const measure = {
      bare: () => measureSide(exchange, bare.pid, { port: bare.port }, undefined),
      service: () =>
        measureSide(exchange, service.workerPid, { port: service.port, key: service.key }, exchange.prologue),
    };
    console.log(
      `\n${exchange.mode}: request ${exchange.frames[0]?.length} bytes, reply ${exchange.reply.length} bytes, ` +
        `${exchange.evaluationsPerFrame} evaluations, ${CONNECTIONS} connections with ${IN_FLIGHT} in flight each`,
    );
    await measure.bare();
    await measure.service();
    const pairs: Record<'bare' | 'service', Side>[] = [];
    for (let pair = 1; pair <= pairCount; pair++) {
      // Who goes first changes with each pair, so that a machine that warms or slows favours neither.
      const measured: Partial<Record<'bare' | 'service', Side>> = {};
      for (const side of pair % 2 === 1 ? (['bare', 'service'] as const) : (['service', 'bare'] as const)) {
        measured[side] = await measure[side]();
      }
      const both = measured as Record<'bare' | 'service', Side>;
      pairs.push(both);
      console.log(
        `pair ${pair}  bare ${describe(both.bare)}   service ${describe(both.service)}   ` +
          `ratio ${(both.service.evaluationsPerSecond / both.bare.evaluationsPerSecond).toFixed(3)}`,
      );
    }
    summarise(exchange, pairs);
  } finally {
    await bare.close();
  }
}

async function measureSide(
  exchange: Exchange,
  pid: number,
  target: { readonly port: number; readonly key?: string },
  prologue: Buffer | undefined,
): Promise<Side> {
  const before = cpuTimes(pid);
  const run = await runPipeline({
    target,
    ...(prologue === undefined ? {} : { prologue }),
    frames: exchange.frames,
    opcode: exchange.opcode,
    replyBytesMin: exchange.reply.length * REPLY_SHARE_MIN,
    connections: CONNECTIONS,
    inFlight: IN_FLIGHT,
    seconds,
  });
  const after = cpuTimes(pid);
  const userSeconds = after.userSeconds - before.userSeconds;
  const systemSeconds = after.systemSeconds - before.systemSeconds;
  return {
    evaluationsPerSecond: run.repliesPerSecond * exchange.evaluationsPerFrame,
    cpuMicros: { user: (userSeconds / run.replies) * 1e6, system: (systemSeconds / run.replies) * 1e6 },
    serverShare: (userSeconds + systemSeconds) / run.seconds,
    clientShare: run.clientCpuShare,
  };
}

function describe({ evaluationsPerSecond, cpuMicros, serverShare, clientShare }: Side): string {
  const limitedByClient = clientShare > SATURATED_SHARE && serverShare < SATURATED_SHARE;
  return (
    `${millions(evaluationsPerSecond)} evaluations/s  ${(cpuMicros.user + cpuMicros.system).toFixed(1)} us CPU a frame` +
    (limitedByClient ? ` (the client's core is full, the server's at ${(serverShare * 100).toFixed(0)} %)` : '')
  );
}

function summarise(
  { mode, evaluationsPerFrame, kernelMicros: kernel }: Exchange,
  pairs: readonly Record<'bare' | 'service', Side>[],
): void {
  const ratio = median(pairs.map((pair) => pair.service.evaluationsPerSecond / pair.bare.evaluationsPerSecond));
  const perSecond = median(pairs.map((pair) => pair.service.evaluationsPerSecond));
  const micros = (side: 'bare' | 'service', part: 'user' | 'system'): number =>
    median(pairs.map((pair) => pair[side].cpuMicros[part]));
  const service = micros('service', 'user') + micros('service', 'system');
  const bare = micros('bare', 'user') + micros('bare', 'system');
  const isJson = mode === 'json' || mode === 'json-named';
  const verdict = (holds: boolean): string => (holds ? 'holds' : 'MISSED');
  console.log(
    `${mode}: median ${millions(perSecond)} evaluations/s` +
      (isJson
        ? ''
        : ` (target >= ${millions(BINARY_PER_SECOND_TARGET)}: ${verdict(perSecond >= BINARY_PER_SECOND_TARGET)})`),
  );
  console.log(
    `${mode}: median ratio to the bare server ${ratio.toFixed(3)}` +
      (isJson ? ` (target >= ${JSON_RATIO_TARGET}: ${verdict(ratio >= JSON_RATIO_TARGET)})` : ''),
  );
  // One client on one core may run out before a bare server does; what a frame costs the server does not depend on it.
  console.log(`${mode}: ratio of frames per second of server CPU ${(bare / service).toFixed(3)}`);
  console.log(
    `${mode}: CPU of the worker a frame ${service.toFixed(1)} us (user ${micros('service', 'user').toFixed(1)}, system ${micros('service', 'system').toFixed(1)}); ` +
      `the bare server takes ${bare.toFixed(1)} us of that for frames and network; the rest is ${(service - bare).toFixed(1)} us, ${(((service - bare) / evaluationsPerFrame) * 1000).toFixed(2)} ns an evaluation` +
      (kernel === undefined ? '' : `, of which the kernel alone takes ${kernel.toFixed(1)} us a frame`),
  );
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} million`;
}

async function startBareServer(exchange: Exchange): Promise<{ port: number; pid: number; close(): Promise<void> }> {
  const args = exchange.opcode === OPCODE.text ? ['parse'] : [];
  const child: ChildProcess = spawn(process.execPath, [BARE_SERVER, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'close');
  const [{ port }] = await once(child, 'message');
  const pid = child.pid as number;
  pin(pid, WORKER_CORE);
  child.send({ reply: exchange.reply.toString('base64'), isBinary: exchange.opcode === OPCODE.binary });
  await once(child, 'message');
  return {
    port,
    pid,
    close: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
