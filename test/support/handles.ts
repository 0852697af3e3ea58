// Handles with everything around them in memory: connections that keep what they are sent, snapshots that tests swap, and
// a loop that turns when they say.
import { createBatchKernel } from '../../src/kernel/create-batch-kernel.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { type Batches, createBatches } from '../../src/worker/batch/batches.ts';
import { createPlans, type Plans } from '../../src/worker/batch/plans.ts';
import { createTurns } from '../../src/worker/batch/turns.ts';
import type { ServingKey, ServingSnapshot, SnapshotHolder } from '../../src/worker/serving.ts';
import { createFindAsked } from '../../src/worker/socket/asked-environment.ts';
import type { Connection } from '../../src/worker/socket/connection.ts';
import { createHandles, type Handles } from '../../src/worker/socket/handles.ts';
import type { Prepared } from './binary-client.ts';

export interface ErrorMessage {
  readonly type: 'error';
  readonly id: number | null;
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms: number;
}

export type Received = Prepared | ErrorMessage | Uint8Array;

export class FakeConnection implements Connection {
  readonly key: ServingKey;
  isOpen = true;
  unsent = 0;
  inFlight = 0;
  /** Code and reason; undefined: open. */
  closing: readonly [code: number, reason: string] | undefined;
  readonly received: Received[] = [];
  /** What a test does with each message as it comes. */
  onReceive: (message: Received) => void = () => {};
  onClose: () => void = () => {};

  constructor(key: ServingKey) {
    this.key = key;
  }
  sendText(message: string | Uint8Array): void {
    this.take(JSON.parse(String(message)) as Received);
  }
  sendBinary(message: Uint8Array): void {
    this.take(message.slice());
  }
  sendError(id: number | null, code: string, message: string, retryAfterMs = 0): void {
    this.take({ type: 'error', id, code, message, retry_after_ms: retryAfterMs });
  }
  together(work: () => void): void {
    work();
  }
  unsentBytes(): number {
    return this.unsent;
  }
  begin(): () => void {
    this.inFlight += 1;
    return () => {
      this.inFlight -= 1;
    };
  }
  close(code: number, reason: string): void {
    this.closing ??= [code, reason];
    this.isOpen = false;
    this.onClose();
  }
  private take(message: Received): void {
    if (!this.isOpen) return;
    this.received.push(message);
    this.onReceive(message);
  }
}

export interface HandlesBench {
  readonly handles: Handles;
  readonly plans: Plans;
  readonly batches: Batches;
  readonly holder: Pick<SnapshotHolder, 'current'>;
  /** Environment, flag_id and evaluations of flags that do not exist. */
  readonly unknown: (readonly [environment: string, flagId: string, evaluations: number])[];
  connect(key: ServingKey): FakeConnection;
  /** Handles learn of it as they do of any swap; what they do about it waits for `settle`. */
  swap(snapshot: ServingSnapshot): void;
  /** Until the next turn of the loop jobs wait, as on a busy worker. */
  busy(): void;
  /** One turn of the loop for jobs. False: nothing waited. */
  turn(): boolean;
  /** Until nothing waits any more, neither a job nor a sweep. */
  settle(): Promise<void>;
}

// Its memory takes longer to make than a test to run.
const { kernel } = createBatchKernel();

/** @param isSliced true: every job takes as many slices as it can */
export function startHandles(snapshot: ServingSnapshot, isSliced = false): HandlesBench {
  let current = snapshot;
  let nowMs = 0;
  let connectionCount = 0;
  let turn: (() => void) | undefined;
  const swapListeners: (() => void)[] = [];
  const waiters = new Set<() => void>();
  const holder = {
    get current() {
      return current;
    },
    onSwap: (tell: () => void) => void swapListeners.push(tell),
    waitFor: (revision: number, timeoutMs: number) =>
      new Promise<boolean>((resolve) => {
        const look = (): void => {
          if (current.revision < revision) return;
          clearTimeout(timer);
          waiters.delete(look);
          resolve(true);
        };
        const timer = setTimeout(() => {
          waiters.delete(look);
          resolve(false);
        }, timeoutMs);
        waiters.add(look);
      }),
  };
  const plans = createPlans();
  const turns = createTurns({ now: () => nowMs, defer: (next) => (turn = next) });
  const batches = createBatches({
    kernel,
    hash: hashUser,
    now: () => nowMs,
    ...(isSliced ? { bounds: { sliceMs: 0, chunkCells: 8, chunkBytes: 8 } } : {}),
  });
  const unknown: HandlesBench['unknown'] = [];
  const handles = createHandles({
    holder,
    findAsked: createFindAsked(holder),
    plans,
    batches,
    turns: { run: (owner, job) => turns.run(owner, job) },
    unknownFlags: { count: (...counted) => void unknown.push(counted) },
  });
  const bench: HandlesBench = {
    handles,
    plans,
    batches,
    holder,
    unknown,
    connect(key) {
      connectionCount += 1;
      const connection = new FakeConnection(key);
      connection.onClose = () => handles.closed(connection);
      return connection;
    },
    swap(next) {
      current = next;
      for (const look of [...waiters]) look();
      for (const tell of swapListeners) tell();
    },
    busy() {
      const job = {
        step(): boolean {
          nowMs += 1000;
          return true;
        },
      };
      turns.run(job, job);
    },
    turn() {
      const next = turn;
      turn = undefined;
      next?.();
      return next !== undefined;
    },
    async settle() {
      // A sweep pauses at most once a connection, and begins anew when it was overtaken.
      for (let pauses = 2 + 2 * connectionCount; pauses > 0; pauses--) {
        while (bench.turn());
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
  return bench;
}
