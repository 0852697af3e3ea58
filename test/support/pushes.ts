// Pushes with everything around them in the hands of the test: clients that take their bytes or do not, a snapshot that
// is swapped, and a worker whose turns come one by one.
import type { ErrorCode } from '../../src/errors.ts';
import { createBatchKernel } from '../../src/kernel/create-batch-kernel.ts';
import { hashUser } from '../../src/kernel/murmur3.ts';
import { createBatches } from '../../src/worker/batch/batches.ts';
import { createPlans } from '../../src/worker/batch/plans.ts';
import type { Job, Turns } from '../../src/worker/batch/turns.ts';
import type { ServingKey, ServingSnapshot } from '../../src/worker/serving.ts';
import type { Connection } from '../../src/worker/socket/connection.ts';
import { createPushes, type Pushes } from '../../src/worker/socket/pushes.ts';

const { kernel } = createBatchKernel();

/** What a client was sent, as it reads it. */
export interface Told {
  readonly type: string;
  readonly id: number;
  readonly revision?: number;
  readonly code?: ErrorCode;
  readonly results?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly flags?: readonly string[];
  readonly [name: string]: unknown;
}

export class FakeConnection implements Connection {
  /** As in the snapshot that is served. */
  key: ServingKey;
  isOpen = true;
  readonly told: Told[] = [];
  /** Bytes that it does not take. */
  unsent = 0;
  inFlight = 0;
  inFlightMax = Number.POSITIVE_INFINITY;
  closedWith: { readonly code: number; readonly reason: string } | undefined;
  /** What the socket does when it is gone. */
  onClosed: () => void = () => {};

  constructor(key: ServingKey) {
    this.key = key;
  }

  sendText(message: string | Uint8Array): void {
    if (this.isOpen)
      this.told.push(JSON.parse(typeof message === 'string' ? message : Buffer.from(message).toString()));
  }
  sendBinary(): void {
    throw new Error('nothing here is binary');
  }
  sendError(id: number | null, code: ErrorCode, message: string, retryAfterMs = 0): void {
    this.sendText(JSON.stringify({ type: 'error', id, code, message, retry_after_ms: retryAfterMs }));
  }
  together(work: () => void): void {
    work();
  }
  unsentBytes(): number {
    return this.unsent;
  }
  begin(): (() => void) | undefined {
    if (this.inFlight >= this.inFlightMax) {
      this.close(1013, 'too many requests in flight');
      return undefined;
    }
    this.inFlight += 1;
    return () => {
      this.inFlight -= 1;
    };
  }
  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.closedWith = { code, reason };
    this.onClosed();
  }
  /** What it was told since this was asked last. */
  take(): Told[] {
    return this.told.splice(0);
  }
}

/** Jobs wait until the test lets them go on. */
export class ManualTurns implements Turns {
  readonly doneCount = 0;
  readonly isFullFor = (): boolean => false;
  /** False: even the first step waits. */
  startsAtOnce = true;
  private readonly jobs: Job[] = [];

  run(_owner: object, job: Job): void {
    if (!this.startsAtOnce || !job.step()) this.jobs.push(job);
  }
  get waiting(): number {
    return this.jobs.length;
  }
  /** One step of the job that is next. */
  step(): void {
    const job = this.jobs.shift();
    if (job !== undefined && !job.step()) this.jobs.push(job);
  }
  /** For a step of its own. */
  putOff(goOn: () => void): void {
    this.jobs.push({
      step() {
        goOn();
        return true;
      },
    });
  }
  finish(): void {
    while (this.jobs.length > 0) this.step();
  }
}

export interface Pushing {
  readonly pushes: Pushes;
  readonly turns: ManualTurns;
  readonly clock: { nowMs: number; tickMs: number };
  readonly unknown: string[];
  current: ServingSnapshot | undefined;
  connect(key: ServingKey): FakeConnection;
  /** Serves another snapshot; connections get their keys from it. */
  swap(snapshot: ServingSnapshot): void;
  /** Until nothing is left to do. */
  settle(): Promise<void>;
}

export function startPushing(
  first: ServingSnapshot | undefined,
  deps: Partial<Parameters<typeof createPushes>[0]> = {},
): Pushing {
  const turns = new ManualTurns();
  /** `tickMs`: what passes at each look at the clock, so that a step ends after a few followers. */
  const clock = { nowMs: 0, tickMs: 0 };
  const connections = new Set<FakeConnection>();
  const unknown: string[] = [];
  let swapped: () => void = () => {};
  const holder = {
    get current() {
      return pushing.current;
    },
    staleSeconds: () => 0,
    onSwap: (tell: () => void) => {
      swapped = tell;
    },
  };
  const pushing: Pushing = {
    current: first,
    turns,
    clock,
    unknown,
    pushes: createPushes({
      holder,
      plans: createPlans(),
      batches: createBatches({ kernel, hash: hashUser, now: () => performance.now() }),
      turns,
      hash: hashUser,
      unknownFlags: { count: (environment, flagId) => void unknown.push(`${environment}/${flagId}`) },
      counts: () => ({ requests: 0, messages: 0, evaluations: 0, sockets: connections.size }),
      clock: () => (clock.nowMs += clock.tickMs),
      rest: (goOn) => turns.putOff(goOn),
      ...deps,
    }),
    connect(key) {
      const connection = new FakeConnection(key);
      connections.add(connection);
      connection.onClosed = () => {
        connections.delete(connection);
        pushing.pushes.closed(connection);
      };
      return connection;
    },
    swap(snapshot) {
      pushing.current = snapshot;
      for (const connection of connections) {
        connection.key = snapshot.keysById.get(connection.key.keyId) ?? connection.key;
      }
      swapped();
    },
    async settle() {
      // Work begins after the event that asked for it, which may be the end of other work.
      do {
        turns.finish();
        await new Promise((resolve) => setImmediate(resolve));
      } while (turns.waiting > 0);
    },
  };
  return pushing;
}

/** As the message of a client does. */
export function subscribe(
  pushing: Pushing,
  connection: FakeConnection,
  id: number,
  parts: {
    readonly userId?: string;
    readonly flagIds?: readonly string[];
    readonly environment?: string;
    readonly attributes?: Record<string, never> | Record<string, unknown>;
  } = {},
): void {
  const { userId = 'u1', flagIds, environment, attributes } = parts;
  const context = { userId, attributes: attributes as never };
  pushing.pushes.subscribe(connection, { type: 'subscribe', id, environment, context, flagIds });
}
