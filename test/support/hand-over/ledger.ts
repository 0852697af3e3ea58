// What was written and what was read, and the judgement: a reading is held to what was known when its request was sent.
// One process writes and reads, so "known" is plain: an acknowledgement counts from the moment its reply was read whole.

export const INVARIANTS = [
  'stale read',
  'revision went back',
  'wrong value',
  'lost write',
  'refused write happened',
  'written twice',
  'two publishers',
  'failed evaluation',
  'killed without a fault',
  'not recovered',
  'left-over process',
  'crash',
] as const;
export type Invariant = (typeof INVARIANTS)[number];

/** What any answer to a request that begins now has to be at least. */
export interface Floor {
  readonly atMs: number;
  /** The highest acknowledged. */
  readonly revision: number;
  readonly versions: ReadonlyMap<string, number>;
  /** The highest that this worker has shown, when it is known which one is asked. */
  readonly workerRevision: number;
  readonly workerTerm: number;
}

export interface Reading {
  /** undefined: the way it came does not tell. */
  readonly pid: number | undefined;
  readonly revision: number;
  readonly flags?: ReadonlyMap<string, { readonly version: number; readonly enabled: boolean }>;
  readonly term?: number | undefined;
}

export interface Write {
  readonly flagId: string;
  /** Counts the writes of this flag; its parity is what the write enables. */
  readonly number: number;
  readonly enabled: boolean;
  readonly description: string;
  readonly beganMs: number;
}

interface FlagLedger {
  /** By number: without an answer that says whether they happened, or not answered yet. */
  readonly unknown: Map<number, Write>;
  /** Numbers of those whose answer once was that nobody knows. */
  readonly uncertain: Set<number>;
  /** By version. */
  readonly acknowledged: Map<number, Write>;
  /** What each version was seen or acknowledged to enable. */
  readonly enabled: Map<number, boolean>;
  number: number;
  version: number;
}

export interface Ledger {
  readonly counts: { acknowledged: number; refused: number; unknown: number; readings: number };
  readonly violations: ReadonlyMap<Invariant, number>;
  violate(invariant: Invariant, text: string): void;
  /** Called for each violation. */
  onViolation(told: (invariant: Invariant, text: string) => void): void;

  /** The flag as it was made: version 1. */
  made(flagId: string, version: number, enabled: boolean, revision: number): void;
  begin(flagId: string): Write;
  acknowledged(write: Write, version: number, revision: number): void;
  /** The answer says that nothing was written. */
  refused(write: Write): void;
  unknown(write: Write): void;
  /** When the latest begun of all acknowledged writes began. */
  readonly lastBeganMs: number;
  /** Resolves at the next acknowledgement. */
  nextAcknowledged(): Promise<void>;

  floor(pid?: number): Floor;
  saw(reading: Reading, floor: Floor, where: string): void;
  /** Compares the store's document with what was acknowledged, when no write is out. */
  settle(flagId: string, document: { readonly version: number; readonly description: string }): void;
}

export function createLedger(): Ledger {
  const flags = new Map<string, FlagLedger>();
  const counts = { acknowledged: 0, refused: 0, unknown: 0, readings: 0 };
  const violations = new Map<Invariant, number>();
  const workers = new Map<number, { revision: number; term: number }>();
  const terms = createTerms();
  let tell: (invariant: Invariant, text: string) => void = () => {};
  const waiting: (() => void)[] = [];
  let revision = 0;
  let lastBeganMs = Number.NEGATIVE_INFINITY;

  function flagOf(flagId: string): FlagLedger {
    const flag = flags.get(flagId);
    if (flag === undefined) throw new Error(`no such flag: ${flagId}`);
    return flag;
  }
  function violate(invariant: Invariant, text: string): void {
    violations.set(invariant, (violations.get(invariant) ?? 0) + 1);
    tell(invariant, text);
  }
  function learn(flagId: string, version: number, enabled: boolean, where: string): void {
    const known = flagOf(flagId).enabled.get(version);
    if (known === undefined) flagOf(flagId).enabled.set(version, enabled);
    else if (known !== enabled) violate('wrong value', `${flagId} version ${version} is ${enabled} by ${where}`);
  }
  function seenBy(pid: number): { revision: number; term: number } {
    let worker = workers.get(pid);
    if (worker === undefined) workers.set(pid, (worker = { revision: 0, term: 0 }));
    return worker;
  }

  return {
    counts,
    violations,
    violate,
    get lastBeganMs() {
      return lastBeganMs;
    },
    onViolation: (told) => void (tell = told),
    made(flagId, version, enabled, madeAtRevision) {
      flags.set(flagId, {
        unknown: new Map(),
        uncertain: new Set(),
        acknowledged: new Map(),
        enabled: new Map([[version, enabled]]),
        number: 0,
        version,
      });
      revision = Math.max(revision, madeAtRevision);
    },
    begin(flagId) {
      const flag = flagOf(flagId);
      const number = ++flag.number;
      const write = { flagId, number, enabled: number % 2 === 1, description: `write ${number}`, beganMs: now() };
      flag.unknown.set(number, write);
      return write;
    },
    acknowledged(write, version, writtenRevision) {
      const flag = flagOf(write.flagId);
      flag.unknown.delete(write.number);
      const before = flag.acknowledged.get(version);
      if (before !== undefined && before.number !== write.number)
        violate('written twice', `${write.flagId} version ${version}: ${before.number} and ${write.number}`);
      for (const [other, same] of flag.acknowledged)
        if (same.number === write.number && other !== version)
          violate('written twice', `${write.flagId} write ${write.number}: versions ${other} and ${version}`);
      if (before === undefined) counts.acknowledged++;
      flag.acknowledged.set(version, write);
      learn(write.flagId, version, write.enabled, 'its acknowledgement');
      flag.version = Math.max(flag.version, version);
      revision = Math.max(revision, writtenRevision);
      lastBeganMs = Math.max(lastBeganMs, write.beganMs);
      terms.acknowledged(write.beganMs, writtenRevision);
      for (const resolve of waiting.splice(0)) resolve();
    },
    refused(write) {
      counts.refused++;
      flagOf(write.flagId).unknown.delete(write.number);
    },
    unknown(write) {
      const { uncertain } = flagOf(write.flagId);
      if (!uncertain.has(write.number)) counts.unknown++;
      uncertain.add(write.number);
    },
    nextAcknowledged: () => new Promise((resolve) => void waiting.push(resolve)),
    floor(pid) {
      const worker = pid === undefined ? undefined : workers.get(pid);
      return {
        atMs: now(),
        revision,
        versions: new Map([...flags].map(([flagId, flag]) => [flagId, flag.version])),
        workerRevision: worker?.revision ?? 0,
        workerTerm: worker?.term ?? 0,
      };
    },
    saw(reading, floor, where) {
      counts.readings++;
      const who = `${where}, asked ${Math.round(now() - floor.atMs)} ms before`;
      if (reading.revision < floor.revision)
        violate('stale read', `revision ${reading.revision}, acknowledged ${floor.revision}: ${who}`);
      for (const [flagId, { version, enabled }] of reading.flags ?? []) {
        const least = floor.versions.get(flagId) ?? 0;
        if (version < least) violate('stale read', `${flagId} version ${version}, acknowledged ${least}: ${who}`);
        learn(flagId, version, enabled, who);
      }
      const { pid, term } = reading;
      if (pid === undefined) return;
      const worker = seenBy(pid);
      if (reading.revision < floor.workerRevision)
        violate('revision went back', `${floor.workerRevision} to ${reading.revision}: ${who}`);
      worker.revision = Math.max(worker.revision, reading.revision);
      if (term === undefined) return;
      if (term < floor.workerTerm) violate('two publishers', `term ${floor.workerTerm} to ${term}: ${who}`);
      worker.term = Math.max(worker.term, term);
      const newer = terms.saw(term, reading.revision);
      if (newer !== undefined)
        violate('two publishers', `term ${term} shows revision ${reading.revision}, written in term ${newer}: ${who}`);
    },
    settle(flagId, { version, description }) {
      const flag = flagOf(flagId);
      if (version < flag.version) violate('lost write', `${flagId}: version ${version}, acknowledged ${flag.version}`);
      const last = flag.acknowledged.get(version);
      if (last !== undefined && last.description !== description)
        violate('lost write', `${flagId} version ${version}: "${description}", acknowledged "${last.description}"`);
      // Version 1 is the flag as it was made; each one after it is a write.
      const happened = version - 1;
      const certain = flag.acknowledged.size;
      if (happened < certain) violate('lost write', `${flagId}: ${happened} writes, acknowledged ${certain}`);
      if (happened > certain + flag.unknown.size)
        violate('refused write happened', `${flagId}: ${happened} writes, at most ${certain + flag.unknown.size}`);
    },
  };
}

/** A worker that still hears an earlier primary must not show what was written after the next one was heard of. */
function createTerms() {
  const firstSeenMs = new Map<number, number>();
  /** The lowest revision of a write that began after this term was first seen. */
  const firstRevision = new Map<number, number>();
  return {
    acknowledged(beganMs: number, revision: number): void {
      for (const [term, seenMs] of firstSeenMs) {
        if (beganMs > seenMs && revision < (firstRevision.get(term) ?? Number.POSITIVE_INFINITY))
          firstRevision.set(term, revision);
      }
    },
    saw(term: number, revision: number): number | undefined {
      if (!firstSeenMs.has(term)) firstSeenMs.set(term, now());
      for (const [newer, first] of firstRevision) if (newer > term && revision >= first) return newer;
      return undefined;
    },
  };
}

function now(): number {
  return performance.now();
}
