// What a socket costs that does nothing, and whether clients that never read can fill a worker's memory.
//
//   npm run bench:idle-sockets
//   npm run bench:idle-sockets -- --sockets 10000 --seconds 20
//
// Three parts: idle sockets; a few that send requests and never read the replies; a few that subscribe, never read, and
// whose flag changes all the time.
import { execFileSync } from 'node:child_process';
import type { Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { encodeRequest } from '../test/support/binary-client.ts';
import { clientFrame, createFrameReader, OPCODE, pongTo, textFrame, upgrade } from '../test/support/raw-web-socket.ts';
import { mib, positiveInteger, warnWhenBusy } from './socket/machine.ts';
import { type MeasuredService, startMeasuredService } from './socket/measured-service.ts';
import { watchMemory } from './socket/watch-memory.ts';
import { inspectable, workerMemory } from './socket/worker-heap.ts';

const FLAGS = 100;
const USERS = 1000;
const FLAG_ID = 'flag-0';
/** Connections that are being opened at once. */
const OPENING_MAX = 100;
/** Files beside the sockets: those of the runtime, the store and the log. */
const FILES_SPARE = 200;
const GREEDY_SOCKETS = 4;
const GREEDY_PAUSE_MS = 2;
/** Replies of 98 KiB: more than the service and the kernels on both sides keep together. */
const LOOKS_AFTER_FRAMES = 500;
const DEAF_SOCKETS = 10;
const DEAF_SUBSCRIPTIONS = 2000;
const DEAF_IN_FLIGHT = 32;
/** At most so many, for a worker gives up clients that are 256 behind (limits.socketBehindChangesMax). */
const CHANGES_MAX = 200;
/** After which those that still do not read look what has become of their connection. */
const DEAF_UNTIL_MS = 45_000;
const CLOSED_WITHIN_MS = 30_000;

const { values: options } = parseArgs({
  options: { sockets: { type: 'string', default: '10000' }, seconds: { type: 'string', default: '20' } },
});
const socketCount = positiveInteger('sockets', options.sockets);
const seconds = positiveInteger('seconds', options.seconds);
requireFiles(socketCount + FILES_SPARE);

const service = await startMeasuredService(
  Array.from({ length: FLAGS }, (_, i) => ({ flag_id: `flag-${i}`, enabled: true, rollout_percentage: 0 })),
  { env: await inspectable() },
);
try {
  warnWhenBusy();
  await idleSockets(service);
  await neverReads(service);
  await neverReadsSubscriptions(service);
  service.checkWorker();
  // A client that never reads cannot see the code; the worker says with which it was closed.
  console.log(`closed by the worker with 1013, as it counts them: ${await closesCounted(service)}`);
} finally {
  await service.close();
}

/** Each process may have so many files open: the shell's limit is handed on to it. */
function requireFiles(needed: number): void {
  const open = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
  if (open < needed)
    throw new Error(`ulimit -n is ${open}, and ${needed} files are needed: raise it, or give --sockets`);
}

async function idleSockets(measured: MeasuredService): Promise<void> {
  const before = await workerMemory(measured);
  const startedMs = performance.now();
  const sockets: Socket[] = [];
  let opening = 0;
  const open = async (): Promise<void> => {
    while (opening < socketCount) {
      opening++;
      sockets.push(await openWelcomed(measured));
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, open));
  const openedMs = performance.now() - startedMs;
  const after = await workerMemory(measured);
  const each = (bytes: number): string => `${(bytes / socketCount).toFixed(0)} bytes`;
  const kept = after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes;
  console.log(
    `${socketCount} idle sockets of one key, opened at ${((socketCount / openedMs) * 1000).toFixed(0)} a second: each keeps ` +
      `${each(kept)} of heap, ${each(after.residentBytes - before.residentBytes)} of resident memory ` +
      `(${mib(before.residentBytes)} -> ${mib(after.residentBytes)} MiB)`,
  );
  let stillOpen = 0;
  for (const socket of sockets) {
    if (!socket.destroyed && socket.readyState === 'open') stillOpen++;
    socket.destroy();
  }
  console.log(`  still open when all were: ${stillOpen} of ${socketCount}`);
  const closed = await workerMemory(measured);
  console.log(
    `  after they have gone: ${mib(closed.heapBytes + closed.externalBytes)} MiB of heap, before them ${mib(before.heapBytes + before.externalBytes)}`,
  );
}

async function openWelcomed(measured: MeasuredService): Promise<Socket> {
  const { socket, rest } = await upgrade({ port: measured.port, key: measured.key });
  await new Promise<void>((resolve) => {
    const reader = createFrameReader(true, (opcode, payload) => {
      if (opcode === OPCODE.ping) socket.write(pongTo(payload));
      else resolve();
    });
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
    reader.read(rest);
    socket.resume();
  });
  return socket;
}

async function closesCounted({ service: { url }, key }: MeasuredService): Promise<string> {
  const reply = await fetch(`${url}/metrics`, { headers: { 'x-api-key': key } });
  return /^burgee_socket_closes_1013_total (\d+)/m.exec(await reply.text())?.[1] ?? '0';
}

type Ending = `closed with ${number}` | 'cut';

interface Deaf {
  readonly socket: Socket;
  /** Resolves once the connection has ended, or a close frame was read. */
  readonly ended: Promise<Ending>;
  /** Reads on from here, and ends the connection at the close frame. */
  listen(): void;
}

/** A socket that has read its welcome and what answers `first`, and reads nothing more until it is told to. */
async function openDeaf(measured: MeasuredService, first: Buffer, onMessage: (message: Buffer) => void): Promise<Deaf> {
  const { socket, rest } = await upgrade({ port: measured.port, key: measured.key });
  let end: (ending: Ending) => void = () => {};
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  let before = 2;
  await new Promise<void>((resolve) => {
    const reader = createFrameReader(true, (opcode, payload) => {
      const bytes = payload as Buffer;
      if (opcode === OPCODE.close) {
        end(`closed with ${bytes.readUInt16BE(0)}`);
        socket.destroy();
      } else if (opcode === OPCODE.ping) {
        socket.write(pongTo(bytes));
      } else {
        if (before > 0) before--;
        else onMessage(bytes);
        if (before === 0) resolve();
      }
    });
    socket.on('data', (chunk: Buffer) => reader.read(chunk));
    socket.on('close', () => end('cut'));
    socket.write(first);
    reader.read(rest);
    socket.resume();
  });
  socket.pause();
  return { socket, ended, listen: () => void socket.resume() };
}

/** Clients that ask on and on and read nothing; one that was closed comes back at once. */
async function neverReads(measured: MeasuredService): Promise<void> {
  const prologue = textFrame({ type: 'prepare', id: 1, environment: 'prod' });
  const users = Array.from({ length: USERS }, (_, i) => ({ userId: `user-${i}` }));
  const frame = clientFrame(OPCODE.binary, encodeRequest({ op: 1, options: 0, handle: 1, id: 2, users }));
  const untilMs = performance.now() + seconds * 1000;
  const endings = new Map<string, number>();
  let asked = 0;
  const count = (ending: string): void => void endings.set(ending, (endings.get(ending) ?? 0) + 1);
  const memory = watchMemory(measured.workerPid);

  /** Reads at last, for what it finds there, when `looks`; else never. */
  async function ask(looks: boolean): Promise<void> {
    while (performance.now() < untilMs) {
      const deaf = await openDeaf(measured, prologue, () => {});
      let ending: Ending | undefined;
      void deaf.ended.then((found) => {
        ending = found;
      });
      for (let sent = 0; ending === undefined && performance.now() < untilMs; sent++) {
        if (looks && sent === LOOKS_AFTER_FRAMES) deaf.listen();
        deaf.socket.write(frame);
        asked++;
        await pause(GREEDY_PAUSE_MS);
      }
      if (ending !== undefined) count(looks ? `looked late: ${ending}` : `never looked: ${ending}`);
      deaf.socket.destroy();
    }
  }
  await Promise.all(Array.from({ length: GREEDY_SOCKETS }, (_, i) => ask(i % 2 === 0)));
  console.log(
    `${GREEDY_SOCKETS} clients that never read, ${asked} requests with replies of ${((USERS * FLAGS) / 1024).toFixed(0)} KiB in ${seconds} s: ${memory.stop()}`,
  );
  console.log(`  connections ended: ${describe(endings)}`);
}

/** Subscribers that read nothing while their flag changes on and on; half of them read at last. */
async function neverReadsSubscriptions(measured: MeasuredService): Promise<void> {
  const subscribers = await Promise.all(
    Array.from({ length: DEAF_SOCKETS }, (_, i) => openDeafSubscriber(measured, i)),
  );
  const memory = watchMemory(measured.workerPid);
  const untilMs = performance.now() + seconds * 1000;
  let changes = 0;
  for (; performance.now() < untilMs; changes++) {
    await patch(measured, { rollout_percentage: changes % 2 === 0 ? 100 : 0 });
    await pause((seconds * 1000) / CHANGES_MAX);
  }
  // The last change of all is like none before, and every subscription must end with it.
  await patch(measured, { enabled: false });
  console.log(
    `${DEAF_SOCKETS} subscribers that never read, ${DEAF_SUBSCRIPTIONS} subscriptions each, ${changes} changes in ${seconds} s: ${memory.stop()}`,
  );
  const late = subscribers.filter((_, i) => i % 2 === 0);
  const upToDate = await Promise.all(late.map((subscriber) => subscriber.catchUp()));
  console.log(
    `  those that read at last end with the latest state: ${upToDate.filter(Boolean).length} of ${late.length}`,
  );
  const never = subscribers.filter((_, i) => i % 2 === 1);
  await pause(DEAF_UNTIL_MS);
  const endings = new Map<string, number>();
  for (const { deaf } of never) {
    deaf.listen();
    const ending = await within(CLOSED_WITHIN_MS, deaf.ended, 'still open');
    endings.set(ending, (endings.get(ending) ?? 0) + 1);
  }
  console.log(`  those that read nothing for ${(DEAF_UNTIL_MS / 1000).toFixed(0)} s more: ${describe(endings)}`);
  for (const { deaf } of subscribers) deaf.socket.destroy();
}

interface DeafSubscriber {
  readonly deaf: Deaf;
  /** Reads until each subscription was last told of the last change. False: the connection ended before, or it took too long. */
  catchUp(): Promise<boolean>;
}

async function openDeafSubscriber(measured: MeasuredService, index: number): Promise<DeafSubscriber> {
  const latest = new Map<number, string>();
  let subscribed = 0;
  let progress: () => void = () => {};
  const deaf = await openDeaf(measured, textFrame({ type: 'ping', id: 1 }), (bytes) => {
    const { type, id, results } = JSON.parse(bytes.toString());
    if (type !== 'result' && type !== 'change') throw new Error(`a subscriber was told ${bytes}`);
    latest.set(id, results[FLAG_ID].reason);
    progress();
  });
  deaf.listen();
  const subscribe = (): void => {
    if (subscribed === DEAF_SUBSCRIPTIONS) return;
    subscribed++;
    const user = `deaf-${index}-${subscribed}`;
    deaf.socket.write(
      textFrame({ type: 'subscribe', id: subscribed, environment: 'prod', user_id: user, flags: [FLAG_ID] }),
    );
  };
  await new Promise<void>((resolve) => {
    progress = () => {
      subscribe();
      if (latest.size === DEAF_SUBSCRIPTIONS) resolve();
    };
    for (let i = 0; i < DEAF_IN_FLIGHT; i++) subscribe();
  });
  deaf.socket.pause();
  return {
    deaf,
    async catchUp() {
      const isDone = (): boolean => [...latest.values()].every((reason) => reason === 'DISABLED');
      const done = new Promise<boolean>((resolve) => {
        progress = () => void (isDone() && resolve(true));
      });
      deaf.listen();
      return within(CLOSED_WITHIN_MS, Promise.race([done, deaf.ended.then(() => false)]), false);
    },
  };
}

async function patch(measured: MeasuredService, json: object): Promise<void> {
  await measured.ask('PATCH', `/api/v1/flags/${FLAG_ID}?environment=prod`, json);
}

async function within<T, U>(ms: number, promise: Promise<T>, otherwise: U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<U>((resolve) => {
    timer = setTimeout(resolve, ms, otherwise);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function describe(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} x ${count}`).join(', ') || 'none';
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
