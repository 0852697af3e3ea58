// Random schedules of faults on the real service, one after another, with clients that write and read all along. A fresh
// service every few schedules keeps the launcher's back-off low, and a schedule's past short.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_KEY } from '../service.ts';
import { type Aftermath, awaitRecovery } from './aftermath.ts';
import { inflict } from './inflict.ts';
import { keepConnection } from './kept-connection.ts';
import { createLedger, INVARIANTS, type Invariant, type Ledger } from './ledger.ts';
import { type NodeUnderFault, pause, startNode } from './node.ts';
import { watchOwners } from './owners.ts';
import { type Readers, startReaders } from './readers.ts';
import { drawSchedule, type Fault } from './schedule.ts';
import { createTouched, type FailureClass, type Touched } from './touched.ts';
import { startWriters, type Writers } from './writers.ts';

export interface ExperimentOptions {
  readonly seed: number;
  /** Numbers of the schedules. */
  readonly schedules: readonly number[];
  readonly faults?: readonly Fault['type'][] | undefined;
  /** The service's main script; default: dist of this project. */
  readonly main?: string | undefined;
  /** Told of each schedule that violates an invariant, with all that is needed to look at it. */
  readonly onFailure: (report: string) => void;
  /** For a write to work, and all workers to serve, after the last fault; milliseconds. */
  readonly recoveryMs?: number | undefined;
  /** Reports all schedules, not only those. */
  readonly verbose?: boolean;
  /** Ends at the first violation. */
  readonly stopAtFirst?: boolean;
}

export interface Findings {
  schedules: number;
  acknowledged: number;
  refused: number;
  unknown: number;
  readings: number;
  readonly inflicted: Map<string, number>;
  readonly failures: Map<FailureClass, number>;
  readonly violations: Map<Invariant, number>;
  /** One for each schedule that recovered. */
  readonly writeMs: number[];
  readonly recoveredMs: number[];
}

const SCHEDULES_PER_SERVICE = 4;
/** A launcher in a crash loop waits up to 5 s, a frozen orphan is waited for 2 s, a drain takes 5 s. */
const RECOVERY_MS_MAX = 20_000;
const READY_MS_MAX = 20_000;
const FLAG_IDS = ['hand-over-1', 'hand-over-2', 'hand-over-3'];
const WORKERS = 3;

export async function runExperiment(options: ExperimentOptions): Promise<Findings> {
  const findings: Findings = {
    schedules: 0,
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    readings: 0,
    inflicted: new Map(),
    failures: new Map(),
    violations: new Map(),
    writeMs: [],
    recoveredMs: [],
  };
  const template = options.schedules.length > SCHEDULES_PER_SERVICE ? await makeTemplate(options.main) : undefined;
  for (let first = 0; first < options.schedules.length; first += SCHEDULES_PER_SERVICE) {
    const numbers = options.schedules.slice(first, first + SCHEDULES_PER_SERVICE);
    await runOnOneService(options, numbers, template?.dataDir, findings);
    if (options.stopAtFirst === true && total(findings.violations) > 0) break;
  }
  await template?.remove();
  return findings;
}

async function makeTemplate(main: string | undefined): Promise<NodeUnderFault> {
  const node = await startNode({ workers: 1, main });
  await node.stop();
  return node;
}

interface Rig {
  readonly node: NodeUnderFault;
  readonly ledger: Ledger;
  readonly touched: Touched;
  readonly readers: Readers;
  readonly writers: Writers;
  readonly flagIds: readonly string[];
}

async function runOnOneService(
  options: ExperimentOptions,
  numbers: readonly number[],
  template: string | undefined,
  findings: Findings,
): Promise<void> {
  const node = await startNode({ workers: WORKERS, main: options.main, template });
  const ledger = createLedger();
  const touched = createTouched(ledger);
  const events: string[] = [];
  const violations: string[] = [];
  let startedMs = performance.now();
  const note = (text: string): void => {
    events.push(`${new Date().toISOString().slice(11, 23)}, ${(performance.now() - startedMs).toFixed(0)} ms: ${text}`);
  };
  ledger.onViolation((invariant, text) => {
    violations.push(`${invariant}: ${text}`);
    note(`VIOLATED ${invariant}: ${text}`);
  });
  await makeFlags(node, ledger);
  const readers = startReaders({ node, ledger, touched, flagIds: FLAG_IDS });
  const writers = startWriters({ node, ledger, flagIds: FLAG_IDS });
  const rig: Rig = { node, ledger, touched, readers, writers, flagIds: FLAG_IDS };
  const stopOwners = watchOwners(node, ledger);

  for (const number of numbers) {
    violations.length = 0;
    startedMs = performance.now();
    note(`schedule ${number}`);
    const logFrom = node.output().length;
    await runOne(options, number, rig, note, findings);
    judgeLog(node.output().slice(logFrom), rig);
    if (violations.length > 0 || options.verbose === true)
      // All that its service said: the cause may lie in a schedule before.
      options.onFailure(describe(options.seed, number, events, node.output()));
    if (options.stopAtFirst === true && violations.length > 0) break;
  }
  writers.stop();
  readers.stop();
  stopOwners();
  const left = await node.stop();
  await node.remove();
  if (left.length > 0) ledger.violate('left-over process', `after the end: ${left.join()}`);
  collect(findings, rig);
}

async function runOne(
  options: ExperimentOptions,
  number: number,
  rig: Rig,
  note: (text: string) => void,
  findings: Findings,
): Promise<void> {
  const { node, readers } = rig;
  // The one before may have left its workers to be replaced.
  for (let waitedMs = 0; !readers.cover(node.workerPids()) && waitedMs < READY_MS_MAX; waitedMs += 20) await pause(20);
  const schedule = drawSchedule(options.seed, number, options.faults);
  await inflict(schedule, { ...rig, counts: findings.inflicted, note });
  note('all faults are over');
  const aftermath: Aftermath = await awaitRecovery({ ...rig, boundMs: options.recoveryMs ?? RECOVERY_MS_MAX });
  note(`a write after ${aftermath.writeMs?.toFixed(0)} ms, all served after ${aftermath.recoveredMs?.toFixed(0)} ms`);
  findings.schedules++;
  if (aftermath.writeMs !== undefined) findings.writeMs.push(aftermath.writeMs);
  if (aftermath.recoveredMs !== undefined) findings.recoveredMs.push(aftermath.recoveredMs);
}

async function makeFlags(node: NodeUnderFault, ledger: Ledger): Promise<void> {
  const connection = await keepConnection(node.port, ADMIN_KEY);
  for (const flagId of FLAG_IDS) {
    const reply = await connection.ask('POST', '/api/v1/flags', {
      json: { flag_id: flagId, enabled: false, description: 'write 0', rollout_percentage: 100 },
    });
    if (reply.kind !== 'reply' || reply.status !== 201) throw new Error(`no flag: ${JSON.stringify(reply)}`);
    ledger.made(flagId, reply.body.version, false, Number(reply.headers.get('x-flags-revision')));
  }
  connection.close();
}

/** What the processes themselves say went wrong. */
function judgeLog(log: string, { ledger, touched }: Rig): void {
  for (const line of log.split('\n')) {
    if (
      /nobody caught|"level":60|"level":"fatal"/.test(line) &&
      !/the launcher is gone|another process took/.test(line)
    )
      ledger.violate('crash', line.slice(0, 400));
    if (!line.includes('killing a worker')) continue;
    const pid = Number(/"worker_pid":(\d+)/.exec(line)?.[1]);
    if (!touched.wasHit(pid)) ledger.violate('killed without a fault', line.slice(0, 300));
  }
}

function describe(seed: number, number: number, events: readonly string[], log: string): string {
  const logFile = join(tmpdir(), `burgee-hand-over-${seed}-${number}.log`);
  writeFileSync(logFile, log);
  const shown = events.length > 40 ? [...events.slice(0, 40), `and ${events.length - 40} more`] : events;
  return [`schedule ${number} of seed ${seed} (--seed ${seed} --only ${number}), log in ${logFile}:`, ...shown].join(
    '\n  ',
  );
}

function collect(findings: Findings, { ledger, touched }: Rig): void {
  const { counts } = ledger;
  findings.acknowledged += counts.acknowledged;
  findings.refused += counts.refused;
  findings.unknown += counts.unknown;
  findings.readings += counts.readings;
  for (const [failure, count] of touched.failures)
    findings.failures.set(failure, (findings.failures.get(failure) ?? 0) + count);
  for (const [invariant, count] of ledger.violations)
    findings.violations.set(invariant, (findings.violations.get(invariant) ?? 0) + count);
}

export function total(counts: ReadonlyMap<unknown, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

export function summary(findings: Findings): string {
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
  const spread = (values: readonly number[]): string => {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0);
    return `median ${at(0.5)} ms, most ${at(1)} ms`;
  };
  return [
    `schedules ${findings.schedules}; writes acknowledged ${findings.acknowledged}, refused ${findings.refused}, ` +
      `without a certain answer ${findings.unknown}; readings ${findings.readings}`,
    `done: ${list(findings.inflicted)}`,
    `evaluations failed in flight on a worker that was: ${list(findings.failures)}`,
    `after the last fault: a write is acknowledged, ${spread(findings.writeMs)}; all workers serve, ${spread(findings.recoveredMs)}`,
    `violations: ${INVARIANTS.map((name) => `${name} ${findings.violations.get(name) ?? 0}`).join(', ')}`,
  ].join('\n');
}
