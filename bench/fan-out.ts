// A change to a flag with very many subscriptions: when the last push is there, what a subscription keeps in memory, and
// what the other clients of the same worker feel of it.
//
//   npm run bench:fan-out
//   npm run bench:fan-out -- --sockets 100 --subscriptions 1000 --changes 10
//
// Each change turns the flag for everybody, so that every subscription gets a push.
import { parseArgs } from 'node:util';
import { median, mib, positiveInteger, warnWhenBusy } from './socket/machine.ts';
import { type MeasuredService, startMeasuredService } from './socket/measured-service.ts';
import { describeLatency, latencyOf, type Prober, startProber } from './socket/probe.ts';
import { openSubscribers, type Subscribers } from './socket/subscribers.ts';
import { inspectable, workerMemory } from './socket/worker-heap.ts';

const FLAG_ID = 'watched-by-all';
const PROBED_FLAG_ID = 'asked-by-others';
const PROBE_SOCKETS = 20;
const PROBE_INTERVAL_MS = 5;
const LAST_PUSH_TARGET_MS = 2000;
const P99_RATIO_TARGET = 3;
const QUIET_MS = 1000;

const { values: options } = parseArgs({
  options: {
    sockets: { type: 'string', default: '100' },
    subscriptions: { type: 'string', default: '1000' },
    changes: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '5' },
  },
});
const socketCount = positiveInteger('sockets', options.sockets);
const subscriptionsPerSocket = positiveInteger('subscriptions', options.subscriptions);
const changeCount = positiveInteger('changes', options.changes);
const seconds = positiveInteger('seconds', options.seconds);

interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

const service = await startMeasuredService(
  [FLAG_ID, PROBED_FLAG_ID].map((id) => ({ flag_id: id, enabled: true, rollout_percentage: 0 })),
  { env: await inspectable() },
);
let prober: Prober | undefined;
let subscribers: Subscribers | undefined;
try {
  warnWhenBusy();
  await main(service);
} finally {
  subscribers?.close();
  await prober?.close();
  await service.close();
}

async function main(measured: MeasuredService): Promise<void> {
  subscribers = await openSubscribers({
    port: measured.port,
    key: measured.key,
    flagId: FLAG_ID,
    sockets: socketCount,
    subscriptions: subscriptionsPerSocket,
  });
  const { total } = subscribers;
  const before = await workerMemory(measured);
  const startedMs = nowMs();
  await subscribers.subscribe();
  const subscribedMs = nowMs() - startedMs;
  const after = await workerMemory(measured);
  const each = (bytes: number): string => (bytes / total).toFixed(0);
  console.log(
    `${total} subscriptions on ${socketCount} sockets, made in ${subscribedMs.toFixed(0)} ms; a subscription keeps ` +
      `${each(after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes)} bytes of heap ` +
      `(resident memory of the worker ${mib(before.residentBytes)} -> ${mib(after.residentBytes)} MiB, ${each(after.residentBytes - before.residentBytes)} bytes each)`,
  );
  prober = await startProber({
    port: measured.port,
    key: measured.key,
    sockets: PROBE_SOCKETS,
    intervalMs: PROBE_INTERVAL_MS,
    flags: [PROBED_FLAG_ID],
  });
  await pause(QUIET_MS);
  await prober.take();
  await pause(seconds * 1000);
  const quiet = latencyOf((await prober.take()).tookMs);
  console.log(`${PROBE_SOCKETS} other clients, nothing changing   ${describeLatency(quiet)}`);

  const windows: Window[] = [];
  const fromReplyMs: number[] = [];
  const fromRequestMs: number[] = [];
  for (let i = 1; i <= changeCount; i++) {
    const { window, repliedMs } = await change(measured, subscribers, i % 2 === 1 ? 100 : 0);
    windows.push(window);
    fromReplyMs.push(window.toMs - repliedMs);
    fromRequestMs.push(window.toMs - window.fromMs);
    await pause(QUIET_MS / 5);
  }
  const { sentAtMs, tookMs } = await prober.take();
  const meanwhile = latencyOf(
    tookMs.filter((took, i) => {
      const sentMs = sentAtMs[i] as number;
      return windows.some(({ fromMs, toMs }) => sentMs <= toMs && sentMs + took >= fromMs);
    }),
  );
  console.log(`${PROBE_SOCKETS} other clients, during the pushes  ${describeLatency(meanwhile)}`);
  const problem = subscribers.problem();
  if (problem !== undefined) throw problem;
  measured.checkWorker();

  const verdict = (holds: boolean): string => (holds ? 'holds' : 'MISSED');
  const slowest = Math.max(...fromRequestMs);
  console.log(
    `${changeCount} changes, ${total} pushes each, each subscription told once: to the last push, median ${median(fromRequestMs).toFixed(0)} ms ` +
      `from the request, ${median(fromReplyMs).toFixed(0)} ms from its reply; slowest ${slowest.toFixed(0)} ms ` +
      `(target <= ${LAST_PUSH_TARGET_MS}: ${verdict(slowest <= LAST_PUSH_TARGET_MS)})`,
  );
  const ratio = meanwhile.p99Ms / quiet.p99Ms;
  console.log(
    `p99 of other clients ${ratio.toFixed(2)} x (target <= ${P99_RATIO_TARGET}: ${verdict(ratio <= P99_RATIO_TARGET)})`,
  );
}

async function change(
  measured: MeasuredService,
  waiting: Subscribers,
  percentage: number,
): Promise<{ window: Window; repliedMs: number }> {
  const pushed = waiting.allTold();
  const fromMs = nowMs();
  await measured.ask('PATCH', `/api/v1/flags/${FLAG_ID}?environment=prod`, { rollout_percentage: percentage });
  const repliedMs = nowMs();
  await pushed;
  return { window: { fromMs, toMs: nowMs() }, repliedMs };
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
