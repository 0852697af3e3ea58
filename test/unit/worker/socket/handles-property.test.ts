// Whatever is written and asked in whatever order, with replies in slices and readers that pause: a client that follows
// the contract's rule reads every byte as the evaluator decides it at the reply's revision.
import fc from 'fast-check';
import { test } from 'tap';
import type { CompiledFlag } from '../../../../src/core/compiled.ts';
import { evaluate } from '../../../../src/core/evaluate.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import { isVisible } from '../../../../src/worker/routes/lookup.ts';
import type { ServingKey, ServingSnapshot } from '../../../../src/worker/serving.ts';
import {
  type BinaryUser,
  decodeReply,
  encodeRequest,
  type Prepared,
  PreparedLists,
} from '../../../support/binary-client.ts';
import { type FakeConnection, type HandlesBench, type Received, startHandles } from '../../../support/handles.ts';
import { makeFlag, makeKey, makeSnapshot } from '../../../support/serving.ts';

const FLAG_IDS = ['f0', 'f1', 'f2', 'f3', 'f4'] as const;
const NAMES = ['red', 'blue', 'green', 'ż'] as const;
const CLIENTS = 2;

/** What a write makes of one flag; null archives it. */
type FlagState = {
  readonly names: readonly string[];
  readonly percentage: number;
  readonly isTagged: boolean;
  readonly hasRule: boolean;
  readonly enabled: boolean;
} | null;

const arbitraryFlagState: fc.Arbitrary<FlagState> = fc.option(
  fc.record({
    names: fc.shuffledSubarray([...NAMES], { minLength: 2 }),
    percentage: fc.constantFrom(0, 30, 50, 100),
    isTagged: fc.boolean(),
    hasRule: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    enabled: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
  }),
  { freq: 5 },
);

const arbitraryUser: fc.Arbitrary<BinaryUser> = fc.record({
  userId: fc.constantFrom('a', 'user-1', 'zażółć', '🦊🦊', 'x'.repeat(40)),
  attributes: fc.constantFrom('{}', '{"country":"PL"}'),
});

const arbitraryStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      flags: fc.array(fc.tuple(fc.constantFrom(...FLAG_IDS), arbitraryFlagState), { minLength: 1, maxLength: 3 }),
      // 0: a correction of what was published under the same revision.
      step: fc.constantFrom(1, 1, 1, 3, 0),
      isBound: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('ask' as const),
      client: fc.nat(CLIENTS - 1),
      handle: fc.nat(9),
      options: fc.nat(1),
      op: fc.constantFrom(1, 2),
      users: fc.array(arbitraryUser, { maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('prepare' as const),
      client: fc.nat(CLIENTS - 1),
      flagIds: fc.option(fc.array(fc.constantFrom(...FLAG_IDS, 'never'), { maxLength: 9 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('release' as const), client: fc.nat(CLIENTS - 1), handle: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('slow' as const), client: fc.nat(CLIENTS - 1), unsent: fc.nat(1) }),
  },
  { weight: 3, arbitrary: fc.constant({ type: 'turn' as const }) },
  { weight: 2, arbitrary: fc.constant({ type: 'busy' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'sweep' as const }) },
);

type Step = typeof arbitraryStep extends fc.Arbitrary<infer T> ? T : never;

interface Asked {
  readonly snapshot: ServingSnapshot;
  readonly handle: number;
  readonly users: readonly BinaryUser[];
  readonly op: number;
  readonly corrections: number;
}

/** A client that keeps `prepared` messages and what it has asked, and throws when anything does not fit. */
class ModelClient {
  readonly connection: FakeConnection;
  readonly lists = new PreparedLists();
  /** By handle. */
  readonly live = new Map<number, Prepared>();
  readonly pending = new Map<number, Asked>();
  corrections = 0;
  replies = 0;

  constructor(bench: HandlesBench, key: ServingKey) {
    this.connection = bench.connect(key);
    this.connection.onReceive = (message) => this.receive(message);
  }

  private receive(message: Received): void {
    if (message instanceof Uint8Array) this.read(message);
    else if (message.type === 'prepared') {
      const before = this.live.get(message.handle);
      if (before?.id === message.id && JSON.stringify(before.flags) === JSON.stringify(message.flags))
        throw new Error(`told again: ${JSON.stringify(message)}`);
      this.lists.add(message);
      this.live.set(message.handle, message);
    } else {
      const asked = this.take(message.id as number);
      if (message.code !== 'NOT_READY' || asked.corrections === this.corrections)
        throw new Error(JSON.stringify(message));
    }
  }

  private take(id: number): Asked {
    const asked = this.pending.get(id);
    if (asked === undefined) throw new Error(`nothing is asked as ${id}`);
    this.pending.delete(id);
    return asked;
  }

  private read(bytes: Uint8Array): void {
    const reply = decodeReply(bytes);
    const { snapshot, handle, users, op } = this.take(reply.id);
    if (reply.revision !== snapshot.revision) throw new Error(`revision ${reply.revision}, not ${snapshot.revision}`);
    if (reply.handle !== handle || reply.userCount !== users.length) throw new Error('another frame');
    const { flags } = this.lists.readWith(reply);
    if (flags.length !== reply.flagCount) throw new Error(`${reply.flagCount} flags, not ${flags.length}`);
    for (const [row, user] of users.entries()) {
      for (const [column, { flag_id: flagId, variants }] of flags.entries()) {
        const cell = reply.cell(row, column);
        const outcome = decide(snapshot, this.connection.key, flagId, user, op);
        const expected = reply.isPacked ? Number(outcome?.enabled ?? false) : outcome?.variant;
        const told = reply.isPacked ? cell : cell === 255 ? undefined : (variants[cell] ?? `no variant ${cell}`);
        if (told !== expected) throw new Error(`${flagId} for ${String(user.userId)}: ${told}, not ${expected}`);
      }
    }
    this.replies += 1;
  }
}

function decide(snapshot: ServingSnapshot, { keyId }: ServingKey, flagId: string, user: BinaryUser, op: number) {
  const environment = snapshot.environments.get('prod');
  const flag = environment?.flags.get(flagId);
  if (environment === undefined || flag === undefined) return undefined;
  if (!isVisible(snapshot.keysById.get(keyId) as ServingKey, flag)) return undefined;
  const attributes = op === 2 ? JSON.parse(String(user.attributes)) : undefined;
  return evaluate(flag, { userId: String(user.userId), attributes }, environment, hashUser);
}

const openKey = makeKey({ raw: 'evaluate-key-of-32-characters-00', scope: 'evaluate' });
const tagsKey = makeKey({ raw: 'tagged-key-of-32-characters-0000', scope: 'evaluate' });

function compile(flagId: string, state: FlagState): CompiledFlag | undefined {
  if (state === null) return undefined;
  const { names, percentage, isTagged, hasRule, enabled } = state;
  const first = names[0] as string;
  const isBoolean = flagId === 'f0';
  const rule = {
    rule_id: 'pl',
    when: { all: [{ attribute: 'country', op: 'equals', values: ['PL'] }] },
    serve: { variant: isBoolean ? 'on' : first },
  };
  const rollout = [
    { variant: first, percentage },
    { variant: names[1] as string, percentage: 100 - percentage },
  ];
  return makeFlag({
    flag_id: flagId,
    enabled,
    tags: isTagged ? ['web'] : [],
    rules: hasRule ? [rule] : [],
    ...(isBoolean
      ? { rollout_percentage: percentage }
      : {
          type: 'string',
          variants: Object.fromEntries(names.map((name) => [name, name])),
          off_variant: names.at(-1),
          rollout: rollout.filter((part) => part.percentage > 0),
        }),
  });
}

/** The whole service as the steps move it. */
class World {
  readonly bench: HandlesBench;
  readonly clients: readonly ModelClient[];
  private readonly flags = new Map<string, CompiledFlag>();
  private snapshot: ServingSnapshot;
  private lastId = 0;

  constructor() {
    for (const flagId of FLAG_IDS) {
      const flag = compile(flagId, { names: NAMES, percentage: 30, isTagged: true, hasRule: false, enabled: true });
      if (flag !== undefined) this.flags.set(flagId, flag);
    }
    this.snapshot = makeSnapshot(10, [...this.flags.values()], [openKey, tagsKey]);
    this.bench = startHandles(this.snapshot, true);
    this.clients = [openKey, tagsKey].map((key) => new ModelClient(this.bench, key));
  }

  async take(step: Step): Promise<void> {
    const { handles } = this.bench;
    switch (step.type) {
      case 'write':
        return this.write(step.flags, step.step, step.isBound);
      case 'ask':
        return this.ask(this.clients[step.client] as ModelClient, step);
      case 'prepare': {
        const { connection } = this.clients[step.client] as ModelClient;
        const id = ++this.lastId;
        const message = { type: 'prepare', id, environment: 'prod', minRevision: undefined } as const;
        return handles.prepare(connection, { ...message, flagIds: step.flagIds });
      }
      case 'release': {
        const client = this.clients[step.client] as ModelClient;
        const handle = pick(client, step.handle);
        if (handle === undefined) return;
        client.live.delete(handle);
        return handles.release(client.connection, { type: 'release', handle });
      }
      case 'slow': {
        const { connection } = this.clients[step.client] as ModelClient;
        connection.unsent = step.unsent;
        if (step.unsent === 0) handles.drained(connection);
        return;
      }
      case 'busy':
        return this.bench.busy();
      case 'turn':
        return void this.bench.turn();
      case 'sweep':
        return new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Everybody reads, and everything is answered. */
  async end(): Promise<void> {
    for (const { connection } of this.clients) {
      connection.unsent = 0;
      this.bench.handles.drained(connection);
    }
    await this.bench.settle();
    for (const client of this.clients) this.checkEnd(client);
  }

  private write(changes: readonly (readonly [string, FlagState])[], step: number, isBound: boolean): void {
    for (const [flagId, state] of changes) {
      const flag = compile(flagId, state);
      if (flag === undefined) this.flags.delete(flagId);
      else this.flags.set(flagId, flag);
    }
    const keys = [openKey, isBound ? { ...tagsKey, tags: new Set(['web']) } : tagsKey];
    this.snapshot = makeSnapshot(this.snapshot.revision + step, [...this.flags.values()], keys);
    if (step === 0) for (const client of this.clients) client.corrections += 1;
    this.bench.swap(this.snapshot);
  }

  private ask(client: ModelClient, step: Extract<Step, { type: 'ask' }>): void {
    const handle = pick(client, step.handle);
    if (handle === undefined) return;
    const { op, users, options } = step;
    const id = ++this.lastId;
    const bytes = encodeRequest({ op, options, handle, id, users });
    client.pending.set(id, { snapshot: this.snapshot, handle, users, op, corrections: client.corrections });
    if (!this.bench.handles.frame(client.connection, bytes)) throw new Error('malformed');
    // What the server has not answered by now it must have kept.
    bytes.fill(0xee);
  }

  private checkEnd({ pending, live, connection }: ModelClient): void {
    if (pending.size > 0) throw new Error(`${pending.size} requests are unanswered`);
    if (connection.inFlight !== 0) throw new Error(`${connection.inFlight} requests are in flight`);
    if (!connection.isOpen) throw new Error(String(connection.closing));
    const key = this.snapshot.keysById.get(connection.key.keyId) as ServingKey;
    for (const { handle, flags } of live.values()) {
      for (const { flag_id: flagId, variants } of flags) {
        const flag = this.flags.get(flagId);
        const seen = flag !== undefined && isVisible(key, flag) ? flag.variants : [];
        if (JSON.stringify(seen) !== JSON.stringify(variants))
          throw new Error(`handle ${handle} was not told that ${flagId} has ${JSON.stringify(seen)}`);
      }
    }
  }
}

function pick({ live }: ModelClient, nth: number): number | undefined {
  const handles = [...live.keys()];
  return handles[nth % Math.max(1, handles.length)];
}

test('a client that follows the rule never misreads a byte', async (t) => {
  let replies = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryStep, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
      const world = new World();
      for (const client of [0, 1]) await world.take({ type: 'prepare', client, flagIds: undefined });
      for (const step of steps) await world.take(step);
      await world.end();
      for (const client of world.clients) replies += client.replies;
    }),
    { seed: 20_261, numRuns: 200 },
  );
  t.ok(replies > 2000, `${replies} replies were read`);
});
