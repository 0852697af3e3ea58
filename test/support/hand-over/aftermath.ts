// When all faults are over: does the node serve with all its workers, take a write, hold what it acknowledged, and has it
// left nothing behind?
import { readFileSync } from 'node:fs';
import { ADMIN_KEY } from '../service.ts';
import { keepConnection } from './kept-connection.ts';
import type { Ledger } from './ledger.ts';
import { type NodeUnderFault, pause, stateOf } from './node.ts';
import type { Readers } from './readers.ts';
import type { Writers } from './writers.ts';

const LOOK_MS = 20;

export interface Aftermath {
  /** Until a write that began after the last fault was acknowledged; undefined: never. */
  readonly writeMs: number | undefined;
  /** Until all workers served and nothing else was left. */
  readonly recoveredMs: number | undefined;
}

export async function awaitRecovery(deps: {
  readonly node: NodeUnderFault;
  readonly ledger: Ledger;
  readonly readers: Readers;
  readonly writers: Writers;
  readonly flagIds: readonly string[];
  /** Milliseconds for all of it. */
  readonly boundMs: number;
}): Promise<Aftermath> {
  const { node, ledger, readers, writers, boundMs } = deps;
  const startedMs = performance.now();
  const write = await Promise.race([writers.acknowledged(), pause(boundMs).then(() => undefined)]);
  if (write === undefined) ledger.violate('not recovered', `no write within ${boundMs} ms`);
  let fault = 'the readers';
  while (performance.now() - startedMs < boundMs) {
    const found = faultOf(node, readers);
    if (found === undefined) break;
    fault = found;
    await pause(LOOK_MS);
  }
  const recoveredMs = performance.now() - startedMs;
  if (recoveredMs >= boundMs)
    ledger.violate(/^process/.test(fault) ? 'left-over process' : 'not recovered', `after ${boundMs} ms: ${fault}`);
  // Anything but a quiet end would be a write that no answer comes to.
  const quiet = await Promise.race([writers.pause().then(() => true), pause(boundMs).then(() => false)]);
  if (!quiet) ledger.violate('not recovered', 'a write got no answer');
  else await compare(deps);
  writers.resume();
  return { writeMs: write, recoveredMs: recoveredMs < boundMs ? recoveredMs : undefined };
}

/** What is not yet as it should be. */
function faultOf(node: NodeUnderFault, readers: Readers): string | undefined {
  const pids = node.workerPids();
  if (node.launcherPid() === undefined) return 'no launcher';
  const primary = node.primaryPid();
  if (primary === undefined) return 'no primary';
  if (pids.length !== node.workers) return `${pids.length} of ${node.workers} workers`;
  if (!readers.cover(pids)) return 'not every worker answers';
  const known = new Set([node.launcherPid(), primary, ...pids]);
  for (const pid of node.processes()) {
    if (!known.has(pid)) return `process ${pid} is in no file of the run folder`;
    if (stateOf(pid) === 'T') return `process ${pid} is stopped`;
  }
  return zombieOf(known);
}

/** A dead child that its living parent has not waited for. */
function zombieOf(parents: ReadonlySet<number | undefined>): string | undefined {
  for (const parent of parents) {
    const children = childrenOf(parent as number).filter((pid) => stateOf(pid) === 'Z');
    if (children.length > 0) return `process ${children[0]} is a zombie of ${parent}`;
  }
  return undefined;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Each flag's document, read where all that was acknowledged must be. */
async function compare({
  node,
  ledger,
  flagIds,
}: {
  readonly node: NodeUnderFault;
  readonly ledger: Ledger;
  readonly flagIds: readonly string[];
}): Promise<void> {
  const connection = await keepConnection(node.port, ADMIN_KEY);
  for (const flagId of flagIds) {
    const { revision } = ledger.floor();
    const reply = await connection.ask('GET', `/api/v1/flags/${flagId}?min_revision=${revision}`);
    if (reply.kind === 'reply' && reply.status === 200) ledger.settle(flagId, reply.body);
    else ledger.violate('lost write', `${flagId} cannot be read: ${JSON.stringify(reply)}`);
  }
  connection.close();
}
