// Three times what a worker can do, sent at a fixed rate whether it answers or not: how much of it is answered well, how
// long those take that are let in, and how soon all is as before. Requests are timed from when they should have been sent.
//
//   npm run chaos:overload               single evaluations, then batches beside single ones; about 10 s
//
// Clients and worker share the machine: capacity is what is answered here when there is always something to answer.
import { connect, type Socket } from 'node:net';
import { ADMIN_KEY, flagWith, startService } from '../test/support/service.ts';

/** Each asks one thing at a time. */
const CONNECTIONS = 1500;
const CALIBRATE_MS = 500;
const CALM_MS = 1500;
const OVERLOAD_MS = 1500;
const AFTER_MS = 1500;
/** So that one evaluation costs the worker more than it costs its client to ask, who would be the one overloaded. */
const RULES = 32;
const TIMES_CAPACITY = 3;
const TICK_MS = 5;

interface Sums {
  good: number;
  refused: number;
  lost: number;
  readonly timesMs: number[];
}

const service = await startService({ workers: 1, env: { LOG_LEVEL: 'warn', ACCESS_LOG: 'errors' } });
try {
  for (let i = 0; i < 100; i++) await flagWith(service, { flag_id: `flag-${i}`, enabled: true });
  const rules = Array.from({ length: RULES }, (_, i) => ({
    rule_id: `rule-${i}`,
    when: { attribute: 'country', op: 'contains', values: [`X${i}`] },
    serve: { variant: 'on' },
  }));
  await flagWith(service, { flag_id: 'ruled', enabled: true, rules });
  const single = requestOf('GET', `/api/v1/flags/ruled/evaluate?user_id=user-1&attr.country=${'a'.repeat(3000)}`);
  const contexts = Array.from({ length: 10 }, (_, i) => ({ user_id: `user-${i}` }));
  const batch = requestOf('POST', '/api/v1/evaluate', JSON.stringify({ contexts }));
  await overload('single evaluations', single);
  await overload('batches of 1,000 evaluations', batch);
} finally {
  await service.stop();
}

async function overload(name: string, request: Buffer): Promise<void> {
  const calibration = await run(request, CALIBRATE_MS, Number.POSITIVE_INFINITY);
  const capacity = (1000 * calibration.good) / CALIBRATE_MS;
  console.log(`\n${name}: capacity about ${Math.round(capacity)} a second`);
  // What was refused of the calibration is over.
  await new Promise((resolve) => setTimeout(resolve, CALM_MS));
  for (const [what, times, ms] of [
    [`${TIMES_CAPACITY} times`, TIMES_CAPACITY, OVERLOAD_MS],
    ['half again', 0.5, AFTER_MS],
  ] as const) {
    const endedBefore = workersEnded();
    const sums = await run(request, ms, capacity * times);
    const at = (share: number): string => (sums.timesMs[Math.floor(share * (sums.timesMs.length - 1))] ?? 0).toFixed(1);
    const perSecond = Math.round((1000 * sums.good) / ms);
    console.log(
      `  ${what.padEnd(12)} ${perSecond} good a second (${Math.round((100 * perSecond) / capacity)} %), ${sums.refused} refused, ` +
        `${sums.lost} lost; of the good p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms; workers ended ${workersEnded() - endedBefore}`,
    );
  }
}

/** Sends `perSecond` over all connections (Infinity: each as soon as it was answered) for `ms`, and waits for the rest. */
async function run(request: Buffer, ms: number, perSecond: number): Promise<Sums> {
  const sums: Sums = { good: 0, refused: 0, lost: 0, timesMs: [] };
  const isAgain = !Number.isFinite(perSecond);
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => openClient(request, sums, isAgain)));
  let next = 0;
  const isFull = (): boolean => {
    for (let i = 0; i < CONNECTIONS; i++, next++)
      if ((clients[next % CONNECTIONS] as Client).unanswered() === 0) return false;
    return true;
  };
  const startedMs = performance.now();
  let sent = 0;
  while (performance.now() - startedMs < ms) {
    const due = isAgain ? 0 : ((performance.now() - startedMs) * perSecond) / 1000;
    for (; sent < due && !isFull(); sent++, next++)
      clients[next % CONNECTIONS]?.send(startedMs + (1000 * sent) / perSecond);
    for (; sent < due; sent++) sums.lost += 1;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  // What is answered after the end is not what was answered in that time.
  const { good } = sums;
  const endMs = performance.now();
  while (clients.some(({ unanswered }) => unanswered() > 0) && performance.now() - endMs < ms)
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  for (const client of clients) {
    sums.lost += client.unanswered();
    client.socket.destroy();
  }
  sums.timesMs.sort((a, b) => a - b);
  return { ...sums, good };
}

/** One whose turn of the loop took over a second was taken for hung, and killed. */
function workersEnded(): number {
  return service.output().match(/"msg":"worker died"/g)?.length ?? 0;
}

interface Client {
  readonly socket: Socket;
  send(dueMs: number): void;
  unanswered(): number;
}

/** One connection; `isAgain`: asks as soon as it was answered. */
function openClient(request: Buffer, sums: Sums, isAgain: boolean): Promise<Client> {
  const waiting: number[] = [];
  let received: Buffer = Buffer.alloc(0);
  return new Promise((resolve) => {
    const socket = connect(service.port, '127.0.0.1', () => {
      socket.setNoDelay(true);
      const send = (dueMs: number): void => {
        waiting.push(dueMs);
        socket.write(request);
      };
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        for (;;) {
          const headEnd = received.indexOf('\r\n\r\n');
          if (headEnd < 0) return;
          const head = received.toString('latin1', 0, headEnd);
          const end = headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
          if (received.length < end) return;
          const whole = received.subarray(0, end);
          received = received.subarray(end);
          const dueMs = waiting.shift() ?? 0;
          if (head.startsWith('HTTP/1.1 200')) {
            sums.good += 1;
            sums.timesMs.push(performance.now() - dueMs);
          } else if (head.startsWith('HTTP/1.1 503')) sums.refused += 1;
          else throw new Error(whole.toString());
          if (isAgain) send(performance.now());
        }
      });
      if (isAgain) send(performance.now());
      resolve({ socket, send, unanswered: () => waiting.length });
    });
  });
}

function requestOf(method: string, path: string, body = ''): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: a', `X-API-Key: ${ADMIN_KEY}`];
  if (body !== '') lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
