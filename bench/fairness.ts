// What ordinary clients feel of one that sends the largest batch allowed, again and again, to the same worker.
//
//   npm run bench:fairness
//   npm run bench:fairness -- --seconds 3
import { parseArgs } from 'node:util';
import { encodeRequest } from '../test/support/binary-client.ts';
import { clientFrame, OPCODE, openRawWebSocket, textFrame } from '../test/support/raw-web-socket.ts';
import { positiveInteger, warnWhenBusy } from './socket/machine.ts';
import { type MeasuredService, startMeasuredService } from './socket/measured-service.ts';
import { runPipeline } from './socket/pipeline.ts';
import { describeLatency, type Latency, latencyOf, startProber } from './socket/probe.ts';

const PROBE_SOCKETS = 50;
const PROBE_INTERVAL_MS = 20;
const PROBE_FLAGS = 10;
const FLAGS = 100;
const JSON_CONTEXTS = 1000;
const BINARY_USERS = 10_000;
/** Conditions asked by one evaluation of a flag with rules; with 1,000 contexts of 100 flags near the most that is allowed. */
const RULES = 18;
const QUIET_MS = 1000;

interface Attack {
  readonly name: string;
  readonly evaluations: number;
  readonly opcode: number;
  readonly prologue?: Buffer;
  readonly frame: Buffer;
}

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '5' } } });
const seconds = positiveInteger('seconds', options.seconds);

const service = await startMeasuredService(flags());
try {
  warnWhenBusy();
  await main(service);
} finally {
  await service.close();
}

/** A hundred that a bucket decides, and a hundred with rules that are all asked and hold for nobody. */
function flags(): object[] {
  return Array.from({ length: FLAGS }, (_, i) => [
    { flag_id: plain(i), enabled: true, rollout_percentage: (i % 99) + 0.5 },
    {
      flag_id: ruled(i),
      enabled: true,
      rules: Array.from({ length: RULES }, (_unused, rule) => ({
        rule_id: `rule-${rule}`,
        when: { attribute: 'country', op: 'equals', values: [`X${rule}`] },
        serve: { variant: 'on' },
      })),
    },
  ]).flat();
}

function plain(i: number): string {
  return `plain-${i}`;
}

function ruled(i: number): string {
  return `ruled-${i}`;
}

async function main(measured: MeasuredService): Promise<void> {
  const prober = await startProber({
    port: measured.port,
    key: measured.key,
    sockets: PROBE_SOCKETS,
    intervalMs: PROBE_INTERVAL_MS,
    flags: Array.from({ length: PROBE_FLAGS }, (_, i) => plain(i)),
  });
  try {
    await pause(QUIET_MS);
    await prober.take();
    await pause(seconds * 1000);
    const quiet = latencyOf((await prober.take()).tookMs);
    console.log(`${PROBE_SOCKETS} ordinary clients alone: ${describeLatency(quiet)}`);
    for (const attack of await attacks(measured)) {
      await prober.take();
      const run = await runPipeline({
        target: { port: measured.port, key: measured.key },
        ...(attack.prologue === undefined ? {} : { prologue: attack.prologue }),
        frames: [attack.frame],
        opcode: attack.opcode,
        // An error has fewer than one byte an evaluation.
        replyBytesMin: attack.evaluations,
        connections: 1,
        inFlight: 1,
        seconds,
      });
      const loaded = latencyOf((await prober.take()).tookMs);
      if (run.replies === 0) throw new Error(`${attack.name}: not one batch was answered in ${seconds} s`);
      report(attack, run.repliesPerSecond, loaded, quiet);
      // What the attacker left behind is not the next one's.
      await pause(QUIET_MS);
    }
    measured.checkWorker();
  } finally {
    await prober.close();
  }
}

function report(attack: Attack, batchesPerSecond: number, loaded: Latency, quiet: Latency): void {
  console.log(
    `beside ${attack.name} (${attack.evaluations.toLocaleString('en-US')} evaluations, ${(attack.frame.length / 1024).toFixed(0)} KiB): ` +
      `${describeLatency(loaded)}, p99 ${(loaded.p99Ms / quiet.p99Ms).toFixed(2)} x; ` +
      `the large client had ${batchesPerSecond.toFixed(1)} batches/s, ${((batchesPerSecond * attack.evaluations) / 1e6).toFixed(2)} million evaluations/s`,
  );
}

async function attacks(measured: MeasuredService): Promise<readonly Attack[]> {
  const named = (name: (i: number) => string): string[] => Array.from({ length: FLAGS }, (_, i) => name(i));
  const json = (name: (i: number) => string): Buffer =>
    textFrame({
      type: 'evaluate_batch',
      id: 1,
      environment: 'prod',
      contexts: Array.from({ length: JSON_CONTEXTS }, (_, i) => ({
        user_id: `user-${i}`,
        attributes: { country: 'PL' },
      })),
      flags: named(name),
    });
  const prologue = textFrame({ type: 'prepare', id: 1, environment: 'prod', flags: named(plain) });
  const users = Array.from({ length: BINARY_USERS }, (_, i) => ({ userId: `user-${i}` }));
  // The first handle of a socket is the same on each.
  const socket = await openRawWebSocket({ port: measured.port, key: measured.key });
  socket.write(prologue);
  const { handle } = await socket.nextJson();
  socket.close();
  const binary = clientFrame(OPCODE.binary, encodeRequest({ op: 1, options: 0, handle, id: 1, users }));
  return [
    { name: 'JSON', evaluations: JSON_CONTEXTS * FLAGS, opcode: OPCODE.text, frame: json(plain) },
    {
      name: `JSON with ${RULES} rules a flag`,
      evaluations: JSON_CONTEXTS * FLAGS,
      opcode: OPCODE.text,
      frame: json(ruled),
    },
    { name: 'binary', evaluations: BINARY_USERS * FLAGS, opcode: OPCODE.binary, prologue, frame: binary },
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
