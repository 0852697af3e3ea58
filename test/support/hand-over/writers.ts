// Clients that write one flag each without a pause. One that gets no answer for a while leaves that connection to its
// worker, which may be frozen, and writes on over another; what the first one is answered in the end counts all the same.
import { ADMIN_KEY } from '../service.ts';
import { type KeptConnection, keepConnection, type Lost, type Reply } from './kept-connection.ts';
import type { Ledger, Write } from './ledger.ts';
import { type NodeUnderFault, pause } from './node.ts';

export interface Writers {
  /** Calls once with the next write that is sent, right after it was. */
  onNextWrite(run: () => void): void;
  /** Milliseconds until a write that began after this call is acknowledged. */
  acknowledged(): Promise<number>;
  /** Begins no write, and resolves when none is out. */
  pause(): Promise<void>;
  resume(): void;
  /** For good; what is out is given up. */
  stop(): void;
}

const PATIENCE_MS = 300;
const OUT_MAX = 12;
const THINK_MS_MAX = 15;
const REFUSED_PAUSE_MS = 40;

export function startWriters(deps: {
  readonly node: NodeUnderFault;
  readonly ledger: Ledger;
  readonly flagIds: readonly string[];
}): Writers {
  const { node, ledger } = deps;
  const connections = new Set<KeptConnection>();
  const hooks: (() => void)[] = [];
  let out = 0;
  let paused = false;
  let stopped = false;

  /** To a worker that answers; undefined when the one that got this connection does not, frozen say. */
  async function connection(): Promise<KeptConnection | undefined> {
    const opened = await keepConnection(node.port, ADMIN_KEY).catch(() => undefined);
    if (opened === undefined) return undefined;
    connections.add(opened);
    const answered = await Promise.race([opened.ask('GET', '/livez'), pause(PATIENCE_MS)]);
    if (answered?.kind === 'reply' && opened.open) return opened;
    connections.delete(opened);
    opened.close();
    return undefined;
  }
  /** Sends one write; resolves with true when it is settled and need not be repeated. */
  async function send(to: KeptConnection, write: Write, idempotencyKey: string | undefined): Promise<boolean> {
    out++;
    const asking = to.ask('PATCH', `/api/v1/flags/${write.flagId}`, {
      json: { enabled: write.enabled, description: write.description },
      headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
    });
    for (const run of hooks.splice(0)) run();
    const outcome = await asking;
    out--;
    if (!to.open) connections.delete(to);
    return stopped || settle(ledger, write, outcome, idempotencyKey !== undefined);
  }

  /** One flag; `repeats`: what has no certain answer is sent again under the same Idempotency-Key. */
  async function lane(flagId: string, repeats: boolean): Promise<void> {
    let current: KeptConnection | undefined;
    let write: Write | undefined;
    while (!stopped) {
      if ((paused && write === undefined) || out > OUT_MAX) {
        await pause(5);
        continue;
      }
      if (current === undefined || !current.open || current.busy) current = await connection();
      if (current === undefined) {
        await pause(THINK_MS_MAX);
        continue;
      }
      write ??= ledger.begin(flagId);
      const key = repeats ? `${node.dataDir}-${flagId}-${write.number}` : undefined;
      const settled = await Promise.race([send(current, write, key), pause(PATIENCE_MS).then(() => 'late' as const)]);
      if (settled === true || (settled === 'late' && !repeats)) write = undefined;
      await pause(settled === true ? Math.random() * THINK_MS_MAX : REFUSED_PAUSE_MS);
    }
  }

  for (const [i, flagId] of deps.flagIds.entries()) void lane(flagId, i % 2 === 1);
  return {
    onNextWrite: (run) => void hooks.push(run),
    async acknowledged() {
      const startedMs = performance.now();
      while (ledger.lastBeganMs < startedMs && !stopped) await ledger.nextAcknowledged();
      return performance.now() - startedMs;
    },
    async pause() {
      paused = true;
      while (out > 0) await pause(5);
    },
    resume: () => void (paused = false),
    stop() {
      stopped = true;
      for (const each of connections) each.close();
    },
  };
}

/** Tells the ledger; false when the same write is to be sent again. */
function settle(ledger: Ledger, write: Write, outcome: Reply | Lost, repeats: boolean): boolean {
  if (outcome.kind === 'reply' && outcome.status === 200) {
    ledger.acknowledged(write, outcome.body.version, Number(outcome.headers.get('x-flags-revision')));
    return true;
  }
  const code = outcome.kind === 'reply' ? outcome.body?.code : undefined;
  if (code === 'STORAGE_UNAVAILABLE' && !repeats) {
    ledger.refused(write);
    return true;
  }
  if (outcome.kind === 'lost' || ['OUTCOME_UNKNOWN', 'IDEMPOTENCY_RUNNING', 'STORAGE_UNAVAILABLE'].includes(code)) {
    ledger.unknown(write);
    return !repeats;
  }
  ledger.violate('crash', `a write was answered ${JSON.stringify(outcome)}`);
  ledger.unknown(write);
  return true;
}
