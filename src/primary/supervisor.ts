// Keeps `slots` workers serving: adopts those that outlived the last primary, replaces those that die or fall silent,
// drains what is old or too many once enough others serve. It knows workers by what the operating system says of them and by what their local sockets
// say; an adopted worker is no child of this process, so nothing here relies on being told of a death.
import { type AwakeTime, createAwakeTime } from '../run/clock.ts';
import { readCpu } from '../run/cpu-wait.ts';
import { EXIT_CONFIGURATION } from '../run/owned.ts';
import { identify, isAlive, type ProcessIdentity, signalProcess } from '../run/process-identity.ts';
import { type Member, mayServe, serves } from './member.ts';
import { inTheWay, isStandIn, nextToGo, roomFor } from './replacement.ts';
import { createSilence, type Silence } from './silence.ts';
import type { JoiningWorker, Standing, Supervisor, SupervisorDeps } from './supervision.ts';
import { SUPERVISOR_TIMING, type SupervisorTiming } from './supervisor-timing.ts';
import { createSlots, type Slots } from './worker-slots.ts';

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
  readonly #silence: Silence;
  #started = false;
  #replaced = 0;
  #drainByMs: number | undefined;
  #stopTicks: (() => void) | undefined;
  #closed = false;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#timing = { ...SUPERVISOR_TIMING, ...deps.timing };
    this.#awake = createAwakeTime(deps.clock, this.#timing.tickMs);
    this.#silence = createSilence(deps.readCpu ?? readCpu);
    this.#slots = createSlots(deps.slots, deps.clock, this.#timing);
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    for (const { slot, identity } of this.#deps.runDir.workers()) {
      // One that a primary was about to give another number when it died is on file twice.
      if (!isAlive(identity) || this.#members.has(identity.pid)) this.#takeOffFile(slot, identity);
      else this.#adopt(identity, slot).expected = true;
    }
    this.#stopTicks = this.#deps.clock.every(this.#timing.tickMs, () => this.#tick());
    this.#fill();
    this.#notify();
  }

  joined({ pid, startTime, slot, build, generation = '', draining = false }: JoiningWorker): boolean {
    const identity = identify(pid);
    if (identity === undefined || identity.startTime !== startTime || this.#closed) return false;
    const known = this.#members.get(pid);
    // The number was used again before the death of its last bearer was noticed.
    if (known !== undefined && known.identity.startTime !== startTime) this.#died(known, undefined, undefined);
    const member = this.#members.get(pid) ?? this.#adopt(identity, slot);
    // One that was started here is what any other would be, though its files may have been built anew meanwhile.
    member.old = !member.child && (build !== this.#deps.build || generation !== this.#deps.generation);
    if (draining) member.drainByMs ??= this.#awake.ms + this.#deps.drainMs;
    if (!member.child && !member.everLinked)
      this.#deps.log.info({ worker_pid: pid, slot: member.slot, build, generation, old: member.old }, 'worker adopted');
    member.linked = true;
    member.everLinked = true;
    member.expected = false;
    member.heardMs = this.#awake.ms;
    member.countedSilentMs = 0;
    this.#silence.heard(pid);
    member.readyByMs = this.#awake.ms + this.#timing.readyMs;
    this.#place(member);
    if (member.drainByMs !== undefined) this.#tellToDrain(member, member.drainByMs);
    else if (this.#drainByMs !== undefined) this.#tellToDrain(member, this.#drainByMs);
    // One that stands in says in its next message whether it listens: until then it would count as nobody.
    if (!isStandIn(member)) this.#fill();
    this.#notify();
    return true;
  }

  /** A worker that is old or drains gives its slot to the next; a newer one that is too many takes a free one. */
  #place(member: Member): void {
    const before = member.file;
    if ((member.old || member.drainByMs !== undefined) && member.slot !== undefined) {
      this.#slots.free(member.slot, Number.POSITIVE_INFINITY);
      member.slot = undefined;
      member.file = this.#surplusFile();
    } else if (!member.old && member.slot === undefined && isStandIn(member)) {
      const slot = this.#slots.take(member.file);
      if (slot === undefined) return;
      member.slot = slot;
      member.file = slot;
    } else return;
    // In this order: a primary that dies in between leaves it on file twice, and not unknown.
    this.#putOnFile(member);
    if (member.onFile) this.#takeOffFile(before, member.identity);
  }

  /** A disk that is full stops no worker from serving: what cannot be written now is tried again with each look. */
  #putOnFile(member: Member): void {
    try {
      this.#deps.runDir.writePid(`worker-${member.file}`, member.identity);
      member.onFile = true;
    } catch (error) {
      const { pid } = member.identity;
      if (member.onFile) this.#deps.log.warn({ worker_pid: pid, err: error }, 'a pid file cannot be written yet');
      member.onFile = false;
    }
  }

  #takeOffFile(file: number, identity: ProcessIdentity): void {
    try {
      this.#deps.runDir.removePid(`worker-${file}`, identity);
    } catch (error) {
      // It names a process that is dead, or is known by another file: whoever reads it finds that out.
      this.#deps.log.warn({ worker_pid: identity.pid, err: error }, 'a pid file cannot be removed');
    }
  }

  beat(pid: number): void {
    const member = this.#members.get(pid);
    if (member === undefined) return;
    member.heardMs = this.#awake.ms;
    this.#silence.heard(pid);
  }

  ready(pid: number): void {
    const member = this.#members.get(pid);
    if (member === undefined) return;
    member.ready = true;
    if (member.slot !== undefined && this.#replacing?.slot === member.slot && !member.killed)
      this.#replacing = undefined;
    this.#letGo();
    this.#fill();
  }

  prepared(pid: number): void {
    if (this.#drainByMs !== undefined || this.#members.get(pid)?.killed !== false) return;
    for (const member of inTheWay([...this.#members.values()])) this.#replace(member);
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
    this.#endNext();
  }

  serving(): number {
    return [...this.#members.values()].filter(serves).length;
  }

  standing(): Standing {
    const serving = [...this.#members.values()].filter(serves);
    return { serving: serving.length, old: serving.filter(({ old }) => old).length, replaced: this.#replaced };
  }

  isStarved(pid: number): boolean {
    const member = this.#members.get(pid);
    if (member === undefined || !member.linked) return false;
    return this.#awake.ms - member.heardMs > this.#timing.silentMs && member.countedSilentMs <= this.#timing.silentMs;
  }

  living(): readonly number[] {
    return [...this.#members.values()].filter(mayServe).map(({ identity }) => identity.pid);
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
      if (!member.onFile) this.#putOnFile(member);
      member.countedSilentMs = member.linked ? this.#silence.counted(member.identity.pid, now - member.heardMs) : 0;
      if (member.drainByMs !== undefined && now > member.drainByMs + this.#timing.drainMarginMs) {
        this.#sigkill(member, 'it did not end by its deadline');
      } else if (!member.linked && now > member.joinByMs) {
        this.#sigkill(member, member.child && !member.everLinked ? 'it never joined' : 'it did not join this primary');
      } else if (!member.ready && member.slot !== undefined && now > member.readyByMs && this.#anyStandIn()) {
        this.#sigkill(member, 'it did not get ready; the one that it is to replace serves on');
      }
    }
    if (this.#replacing !== undefined && this.#deps.clock.nowMs() > this.#replacing.untilMs)
      this.#replacing = undefined;
    this.#endNext();
    this.#letGo();
    this.#fill();
  }

  #anyStandIn(): boolean {
    return [...this.#members.values()].some(isStandIn);
  }

  /** Drains those in whose place others serve. */
  #letGo(): void {
    if (!this.#started || this.#closed || this.#drainByMs !== undefined) return;
    const { slots, isBehind } = this.#deps;
    for (;;) {
      const member = nextToGo([...this.#members.values()], slots, isBehind);
      if (member === undefined) return;
      this.#replace(member);
    }
  }

  #replace(member: Member): void {
    this.#replaced++;
    this.#deps.log.info({ worker_pid: member.identity.pid, old: member.old }, 'draining a worker: others serve');
    this.#tellToDrain(member, this.#awake.ms + this.#deps.drainMs);
  }

  // One at a time: a pause that hits every worker at once, a slow disk or a huge change, must not empty the node.
  #endNext(): void {
    for (const member of this.#members.values()) {
      if (member.killed) continue;
      if (this.#replacing !== undefined) return;
      // One that hangs answers nobody: it goes even when it is the last.
      if (member.countedSilentMs > this.#timing.silentMs)
        this.#sigkill(member, `it was silent for ${Math.round(this.#awake.ms - member.heardMs)} ms`);
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
    this.#silence.dead(pid);
    const { clock, log } = this.#deps;
    const uptimeMs = clock.nowMs() - member.bornMs;
    const fields = { worker_pid: pid, slot: member.slot, code, signal, uptime_ms: Math.round(uptimeMs) };
    // An adopted worker's exit code is not to be had.
    const drained = member.drainByMs !== undefined && !member.killed && (code === 0 || !member.child);
    if (drained) log.info(fields, 'worker drained');
    else log.warn(fields, 'worker died');
    this.#takeOffFile(member.file, member.identity);
    if (member.slot !== undefined) this.#slots.free(member.slot, uptimeMs);
    this.#deps.onDead(pid, drained);
    if (code === EXIT_CONFIGURATION && !member.ready) this.#deps.onUnusable();
    this.#fill();
    this.#notify();
  }

  #adopt(identity: ProcessIdentity, wish: number): Member {
    const slot = this.#slots.take(wish);
    const file = slot ?? this.#surplusFile();
    const member = this.#newMember(identity, { slot, file, child: false, joinWithinMs: this.#timing.rejoinMs });
    this.#putOnFile(member);
    if (file !== wish && member.onFile) this.#takeOffFile(wish, identity);
    return member;
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
      if (roomFor([...this.#members.values()], this.#deps.slots) < 1) return;
      // While others serve, what fails is tried in one place with its pauses, not in each.
      if (this.#anyStandIn() && slot !== this.#slots.lowestFree()) return;
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
    this.#putOnFile(member);
  }

  #newMember(
    identity: ProcessIdentity,
    { joinWithinMs, ...place }: Pick<Member, 'slot' | 'file' | 'child'> & { readonly joinWithinMs: number },
  ): Member {
    const member: Member = {
      identity,
      ...place,
      bornMs: this.#deps.clock.nowMs(),
      onFile: true,
      old: false,
      linked: false,
      everLinked: false,
      joinByMs: this.#awake.ms + joinWithinMs,
      heardMs: this.#awake.ms,
      countedSilentMs: 0,
      readyByMs: Number.POSITIVE_INFINITY,
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
    const deadlineMs = Math.max(0, member.drainByMs - this.#awake.ms);
    this.#deps.sendDrain(member.identity.pid, { deadlineMs, isReplaced: this.#drainByMs === undefined });
  }

  #notify(): void {
    if (this.#started && ![...this.#members.values()].some(({ expected }) => expected)) {
      for (const done of this.#settledWaiters.splice(0)) done();
    }
    if (this.#drainByMs !== undefined && this.#members.size === 0)
      for (const done of this.#emptyWaiters.splice(0)) done();
  }
}
