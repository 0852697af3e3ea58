// Keeps `slots` workers serving: adopts those that outlived the last primary, replaces those that die or fall silent,
// drains what is too many. It knows workers by what the operating system says of them and by what their local sockets
// say; an adopted worker is no child of this process, so nothing here relies on being told of a death.
import { type AwakeTime, type Clock, createAwakeTime } from '../run/clock.ts';
import { EXIT_CONFIGURATION } from '../run/owned.ts';
import { identify, isAlive, type ProcessIdentity, signalProcess } from '../run/process-identity.ts';
import type { RunDir } from '../run/run-dir.ts';
import type { ForkedWorker } from './fork-worker.ts';
import { SUPERVISOR_TIMING, type SupervisorTiming } from './supervisor-timing.ts';
import { createSlots, type Slots } from './worker-slots.ts';

export interface SupervisorLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface SupervisorDeps {
  /** Workers to keep, in slots 1 to `slots`. */
  readonly slots: number;
  readonly runDir: Pick<RunDir, 'workers' | 'writePid' | 'removePid'>;
  readonly log: SupervisorLog;
  readonly clock: Clock;
  /** Starts a worker; throws when the system refuses another process. */
  readonly fork: (slot: number) => ForkedWorker;
  /** Tells a worker over its local socket to drain and exit within `deadlineMs`. */
  readonly sendDrain: (pid: number, deadlineMs: number) => void;
  /** Once for each worker that was ever forked, expected or joined. */
  readonly onDead: (pid: number) => void;
  /** A worker that was forked here ended before it was ready because of the configuration: another try ends alike. */
  readonly onUnusable: () => void;
  /** What a surplus worker gets to drain. */
  readonly drainMs: number;
  readonly timing?: Partial<SupervisorTiming>;
}

export interface JoiningWorker {
  readonly pid: number;
  readonly startTime: string;
  readonly slot: number;
  readonly build: string;
}

export interface Supervisor {
  /** Once the local socket listens: expects the workers on file, and forks for the slots that have none. */
  start(): void;
  /**
   * A worker said hello; it may be told to drain during this call, so its link must be known before. False when no such
   * process lives here: close its socket.
   */
  joined(worker: JoiningWorker): boolean;
  beat(pid: number): void;
  /** It listens for clients. */
  ready(pid: number): void;
  /** Its socket closed: it is dead, or has 2 s to come back. */
  left(pid: number): void;
  /**
   * SIGKILLs and replaces a worker: one at a time, and not while it is the only one that serves; until then it is put off.
   * Unknown pids are ignored.
   */
  kill(pid: number, why: string): void;
  /** Workers that are linked, ready, not draining and not killed. */
  serving(): number;
  /** Pids that may still answer clients, linked or not: a write waits for each of them. */
  living(): readonly number[];
  /** Resolves when each worker from before this primary has joined or is dead: at most about 2 s. Write nothing earlier. */
  settled(): Promise<void>;
  /** Drains all, forks no more; resolves when all are dead. After `deadlineMs` those that are left are killed. */
  drain(deadlineMs: number): Promise<void>;
  /** Stops watching and leaves the workers as they are. May be called twice. */
  close(): void;
}

interface Member {
  readonly identity: ProcessIdentity;
  /** undefined: surplus, to be drained. */
  readonly slot: number | undefined;
  /** N of its worker-N.pid. */
  readonly file: number;
  /** Own child: its exit is an event. */
  readonly child: boolean;
  readonly bornMs: number;
  linked: boolean;
  everLinked: boolean;
  /** Awake time by which it must have joined (again). */
  joinByMs: number;
  /** Awake time of the last sign of life over its socket. */
  heardMs: number;
  ready: boolean;
  /** From before this primary, not yet joined. */
  expected: boolean;
  /** Awake time at which it is killed; set once it was told to drain. */
  drainByMs: number | undefined;
  /** Why it is to be killed as soon as another serves. */
  condemned: string | undefined;
  killed: boolean;
}

export function createSupervisor(deps: SupervisorDeps): Supervisor {
  return new WorkerSupervisor(deps);
}

class WorkerSupervisor implements Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #timing: SupervisorTiming;
  readonly #awake: AwakeTime;
  readonly #slots: Slots;
  readonly #members = new Map<number, Member>();
  readonly #settledWaiters: (() => void)[] = [];
  readonly #emptyWaiters: (() => void)[] = [];
  /** The slot whose worker was killed and whose next one is not ready yet. */
  #replacing: { readonly slot: number; readonly untilMs: number } | undefined;
  #started = false;
  #drainByMs: number | undefined;
  #stopTicks: (() => void) | undefined;
  #closed = false;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#timing = { ...SUPERVISOR_TIMING, ...deps.timing };
    this.#awake = createAwakeTime(deps.clock, this.#timing.tickMs);
    this.#slots = createSlots(deps.slots, deps.clock, this.#timing);
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    for (const { slot, identity } of this.#deps.runDir.workers()) {
      if (!isAlive(identity)) this.#deps.runDir.removePid(`worker-${slot}`, identity);
      else if (!this.#members.has(identity.pid)) this.#adopt(identity, slot).expected = true;
    }
    this.#stopTicks = this.#deps.clock.every(this.#timing.tickMs, () => this.#tick());
    this.#fill();
    this.#notify();
  }

  joined({ pid, startTime, slot, build }: JoiningWorker): boolean {
    const identity = identify(pid);
    if (identity === undefined || identity.startTime !== startTime || this.#closed) return false;
    const known = this.#members.get(pid);
    // The number was used again before the death of its last bearer was noticed.
    if (known !== undefined && known.identity.startTime !== startTime) this.#died(known, undefined, undefined);
    const member = this.#members.get(pid) ?? this.#adopt(identity, slot);
    if (!member.child && !member.everLinked)
      this.#deps.log.info({ worker_pid: pid, slot: member.slot, build }, 'worker adopted');
    member.linked = true;
    member.everLinked = true;
    member.expected = false;
    member.heardMs = this.#awake.ms;
    if (member.drainByMs !== undefined) this.#deps.sendDrain(pid, Math.max(0, member.drainByMs - this.#awake.ms));
    else if (this.#drainByMs !== undefined) this.#tellToDrain(member, this.#drainByMs);
    else if (member.slot === undefined) this.#tellToDrain(member, this.#awake.ms + this.#deps.drainMs);
    this.#notify();
    return true;
  }

  beat(pid: number): void {
    const member = this.#members.get(pid);
    if (member !== undefined) member.heardMs = this.#awake.ms;
  }

  ready(pid: number): void {
    const member = this.#members.get(pid);
    if (member === undefined) return;
    member.ready = true;
    if (member.slot !== undefined && this.#replacing?.slot === member.slot && !member.killed)
      this.#replacing = undefined;
  }

  left(pid: number): void {
    const member = this.#members.get(pid);
    if (member === undefined || !member.linked) return;
    member.linked = false;
    member.joinByMs = this.#awake.ms + this.#timing.rejoinMs;
    // The kernel closes a dying process's sockets a moment before it calls it dead.
    if (!this.#buryIfDead(member)) this.#deps.clock.after(this.#timing.deathMs, () => this.#buryIfDead(member));
  }

  kill(pid: number, why: string): void {
    const member = this.#members.get(pid);
    if (member === undefined || member.killed) return;
    member.condemned ??= why;
    this.#replaceNext();
  }

  serving(): number {
    return [...this.#members.values()].filter(serves).length;
  }

  living(): readonly number[] {
    // One that was adopted may have served long before it said a word to this primary.
    const mayServe = [...this.#members.values()].filter(({ linked, ready, child }) => linked || ready || !child);
    return mayServe.map(({ identity }) => identity.pid);
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settledWaiters.push(resolve);
      this.#notify();
    });
  }

  drain(deadlineMs: number): Promise<void> {
    const byMs = this.#awake.ms + deadlineMs;
    this.#drainByMs = Math.min(this.#drainByMs ?? byMs, byMs);
    for (const member of this.#members.values()) {
      if (member.linked) this.#tellToDrain(member, byMs);
      // It serves nobody yet, and would only learn what to do after it had started.
      else if (member.child && !member.ready) this.#sigkill(member, 'the service drains');
    }
    return new Promise((resolve) => {
      this.#emptyWaiters.push(resolve);
      this.#notify();
    });
  }

  close(): void {
    this.#closed = true;
    this.#stopTicks?.();
    for (const done of this.#settledWaiters.splice(0)) done();
    for (const done of this.#emptyWaiters.splice(0)) done();
  }

  #tick(): void {
    this.#awake.tick();
    const now = this.#awake.ms;
    for (const member of [...this.#members.values()]) {
      if (this.#buryIfDead(member) || member.killed) continue;
      if (member.drainByMs !== undefined && now > member.drainByMs + this.#timing.drainMarginMs) {
        this.#sigkill(member, 'it did not end by its deadline');
      } else if (!member.linked && now > member.joinByMs) {
        this.#sigkill(member, member.child && !member.everLinked ? 'it never joined' : 'it did not join this primary');
      }
    }
    if (this.#replacing !== undefined && this.#deps.clock.nowMs() > this.#replacing.untilMs)
      this.#replacing = undefined;
    this.#replaceNext();
    this.#fill();
  }

  // One at a time: a pause that hits every worker at once, a slow disk or a huge change, must not empty the node.
  #replaceNext(): void {
    for (const member of this.#members.values()) {
      if (member.killed) continue;
      if (this.#replacing !== undefined) return;
      const silentMs = member.linked ? this.#awake.ms - member.heardMs : 0;
      // One that hangs answers nobody: it goes even when it is the last.
      if (silentMs > this.#timing.silentMs) this.#sigkill(member, `it was silent for ${Math.round(silentMs)} ms`);
      else if (member.condemned !== undefined && !(serves(member) && this.serving() === 1))
        this.#sigkill(member, member.condemned);
    }
  }

  #sigkill(member: Member, why: string): void {
    member.killed = true;
    const { pid } = member.identity;
    const { slot } = member;
    this.#deps.log.warn({ worker_pid: pid, slot, why }, 'killing a worker');
    if (slot !== undefined && this.#drainByMs === undefined) {
      this.#replacing ??= { slot, untilMs: this.#deps.clock.nowMs() + this.#timing.firstJoinMs };
    }
    // Not through node:cluster, whose kill() asks a process politely that may not be able to listen.
    signalProcess(member.identity, 'SIGKILL');
  }

  #buryIfDead(member: Member): boolean {
    if (this.#members.get(member.identity.pid) !== member) return true;
    // A child's exit event, which knows code and signal, is on its way.
    if (member.child || isAlive(member.identity)) return false;
    this.#died(member, undefined, undefined);
    return true;
  }

  #died(member: Member, code: number | undefined, signal: string | undefined): void {
    const { pid } = member.identity;
    if (this.#members.get(pid) !== member) return;
    this.#members.delete(pid);
    const { clock, log, runDir } = this.#deps;
    const uptimeMs = clock.nowMs() - member.bornMs;
    const fields = { worker_pid: pid, slot: member.slot, code, signal, uptime_ms: Math.round(uptimeMs) };
    if (code === 0 && member.drainByMs !== undefined) log.info(fields, 'worker drained');
    else log.warn(fields, 'worker died');
    runDir.removePid(`worker-${member.file}`, member.identity);
    if (member.slot !== undefined) this.#slots.free(member.slot, uptimeMs);
    this.#deps.onDead(pid);
    if (code === EXIT_CONFIGURATION && !member.ready) this.#deps.onUnusable();
    this.#fill();
    this.#notify();
  }

  #adopt(identity: ProcessIdentity, wish: number): Member {
    const { runDir } = this.#deps;
    const slot = this.#slots.take(wish);
    const file = slot ?? this.#surplusFile();
    if (file !== wish) runDir.removePid(`worker-${wish}`, identity);
    runDir.writePid(`worker-${file}`, identity);
    return this.#newMember(identity, { slot, file, child: false, joinWithinMs: this.#timing.rejoinMs });
  }

  // A number above all slots, so that whoever has to end the service finds the surplus workers too.
  #surplusFile(): number {
    const used = new Set([...this.#members.values()].map(({ file }) => file));
    let file = this.#deps.slots + 1;
    while (used.has(file)) file++;
    return file;
  }

  #fill(): void {
    if (!this.#started || this.#closed || this.#drainByMs !== undefined) return;
    for (const slot of this.#slots.due()) {
      try {
        this.#fork(slot);
      } catch (error) {
        this.#slots.free(slot, 0);
        this.#deps.log.warn({ slot, err: error }, 'a worker cannot be started');
      }
    }
  }

  #fork(slot: number): void {
    const forked = this.#deps.fork(slot);
    // A child that has died already is a zombie, which has no identity; its exit event follows.
    const identity = identify(forked.pid) ?? { pid: forked.pid, startTime: '0', bootId: '-' };
    const member = this.#newMember(identity, { slot, file: slot, child: true, joinWithinMs: this.#timing.firstJoinMs });
    this.#slots.take(slot);
    forked.onExit((code, signal) => this.#died(member, code, signal));
    this.#deps.runDir.writePid(`worker-${slot}`, identity);
  }

  #newMember(
    identity: ProcessIdentity,
    { joinWithinMs, ...place }: Pick<Member, 'slot' | 'file' | 'child'> & { readonly joinWithinMs: number },
  ): Member {
    const member: Member = {
      identity,
      ...place,
      bornMs: this.#deps.clock.nowMs(),
      linked: false,
      everLinked: false,
      joinByMs: this.#awake.ms + joinWithinMs,
      heardMs: this.#awake.ms,
      ready: false,
      expected: false,
      drainByMs: undefined,
      condemned: undefined,
      killed: false,
    };
    this.#members.set(identity.pid, member);
    return member;
  }

  #tellToDrain(member: Member, byMs: number): void {
    if (member.killed) return;
    member.drainByMs = Math.min(member.drainByMs ?? byMs, byMs);
    this.#deps.sendDrain(member.identity.pid, Math.max(0, member.drainByMs - this.#awake.ms));
  }

  #notify(): void {
    if (this.#started && ![...this.#members.values()].some(({ expected }) => expected)) {
      for (const done of this.#settledWaiters.splice(0)) done();
    }
    if (this.#drainByMs !== undefined && this.#members.size === 0)
      for (const done of this.#emptyWaiters.splice(0)) done();
  }
}

function serves(member: Member): boolean {
  return member.linked && member.ready && !member.killed && member.drainByMs === undefined;
}
