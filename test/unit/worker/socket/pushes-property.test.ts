// Whatever changes, in whatever order sweeps, swaps and slow readers meet: whoever folds the first result and all changes
// together has what a fresh evaluation of the latest state gives.
import fc from 'fast-check';
import { test } from 'tap';
import { evaluate } from '../../../../src/core/evaluate.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import { isVisible } from '../../../../src/worker/routes/lookup.ts';
import type { ServingKey } from '../../../../src/worker/serving.ts';
import { arbitraryContext, type ContextDocument } from '../../../support/arbitrary-conditions.ts';
import { arbitraryEnvironment } from '../../../support/arbitrary-environments.ts';
import type { NaiveEnvironment } from '../../../support/naive-evaluator.ts';
import { type FakeConnection, type Pushing, startPushing, type Told } from '../../../support/pushes.ts';
import { makeKey } from '../../../support/serving.ts';
import { servingEnvironment, servingSnapshot } from '../../../support/serving-environments.ts';

const FLAG_IDS = ['flag-0', 'flag-1', 'flag-2', 'flag-3', 'flag-4', 'flag-5', 'nobody'];
const TAGS: readonly (readonly string[])[] = [[], ['x'], ['y'], ['x', 'y']];

const arbitraryState = fc.record({
  fresh: arbitraryEnvironment,
  /** Which flags and segments stay as they were. */
  kept: fc.integer({ min: 0, max: 511 }),
  tags: fc.array(fc.constantFrom(...TAGS), { minLength: 6, maxLength: 6 }),
  keyTags: fc.constantFrom<readonly string[] | undefined>(undefined, undefined, ['x'], ['y']),
});
type State = typeof arbitraryState extends fc.Arbitrary<infer T> ? T : never;

const arbitraryOperation = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('swap' as const), state: arbitraryState }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('pass' as const), isTurn: fc.boolean() }), weight: 6 },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('fill' as const, 'drain' as const, 'settle' as const),
      client: fc.nat({ max: 1 }),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      client: fc.nat({ max: 1 }),
      id: fc.nat({ max: 3 }),
      context: arbitraryContext,
      flagIds: fc.option(fc.array(fc.constantFrom(...FLAG_IDS), { maxLength: 4 }), { nil: undefined }),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('unsubscribe' as const, 'watch' as const),
      client: fc.nat({ max: 1 }),
      id: fc.nat({ max: 3 }),
    }),
    weight: 1,
  },
);
type Operation = typeof arbitraryOperation extends fc.Arbitrary<infer T> ? T : never;

/** What a client knows by an id: the answers of a subscription, as texts without version. */
interface Known {
  readonly context: ContextDocument;
  readonly flagIds: readonly string[] | undefined;
  answers: Map<string, string> | undefined;
}

class Client {
  readonly connection: FakeConnection;
  readonly known = new Map<number, Known>();
  constructor(connection: FakeConnection) {
    this.connection = connection;
  }

  read(): void {
    for (const message of this.connection.take()) {
      if (message.type === 'result') this.readResult(message);
      else if (message.type === 'change') this.readChange(message);
      else if (message.type !== 'revision') throw new Error(JSON.stringify(message));
    }
  }

  private readResult({ id, results }: Told): void {
    const known = this.known.get(id);
    if (known === undefined || known.answers !== undefined) throw new Error(`a result for ${id} that nobody waits for`);
    known.answers = new Map(Object.entries(results ?? {}).map(([flagId, answer]) => [flagId, answerText(answer)]));
  }

  private readChange({ id, results }: Told): void {
    const answers = this.known.get(id)?.answers;
    if (answers === undefined) throw new Error(`a change before the result of ${id}`);
    const entries = Object.entries(results ?? {});
    if (entries.length === 0) throw new Error('a change of nothing');
    for (const [flagId, answer] of entries) {
      const text = answerText(answer);
      if ((answers.get(flagId) ?? NOT_FOUND) === text) throw new Error(`${flagId} was ${text} already`);
      answers.set(flagId, text);
    }
  }
}

function answerText(answer: object): string {
  return JSON.stringify({ ...answer, version: undefined });
}
const NOT_FOUND = answerText({ error: 'FLAG_NOT_FOUND' });

function nextState(before: NaiveEnvironment | undefined, { fresh, kept }: State): NaiveEnvironment {
  if (before === undefined) return fresh;
  const keeps = (_entry: unknown, i: number) => ((kept >> i) & 1) === 1;
  return {
    flags: new Map([...fresh.flags, ...[...before.flags].filter(keeps)]),
    segments: new Map([...fresh.segments, ...[...before.segments].filter((entry, i) => keeps(entry, i + 6))]),
  };
}

const baseKey = makeKey({ raw: 'read-key-of-32-characters-000000', scope: 'read' });

/** A service and two clients that a sequence of operations is done to. */
class Trial {
  readonly pushing: Pushing;
  readonly clients: readonly Client[];
  private naive: NaiveEnvironment;
  private revision = 1;

  constructor(first: State) {
    this.naive = nextState(undefined, first);
    this.pushing = startPushing(this.snapshot(first));
    // A step ends after a follower or two.
    this.pushing.clock.tickMs = 0.7;
    this.clients = [0, 1].map(() => new Client(this.pushing.connect(this.key(first))));
  }

  async do(operation: Operation): Promise<void> {
    const { pushing } = this;
    if (operation.kind === 'swap') {
      this.naive = nextState(this.naive, operation.state);
      this.revision += 1;
      pushing.swap(this.snapshot(operation.state));
    } else if (operation.kind === 'pass') {
      if (operation.isTurn) await new Promise((resolve) => setImmediate(resolve));
      else pushing.turns.step();
    } else this.act(operation, this.clients[operation.client] as Client);
    for (const client of this.clients) client.read();
  }

  private act(operation: Exclude<Operation, { kind: 'swap' | 'pass' }>, client: Client): void {
    const { pushes, turns } = this.pushing;
    const { connection, known } = client;
    switch (operation.kind) {
      case 'fill':
        connection.unsent = 1_000_000;
        break;
      case 'drain':
        connection.unsent = 0;
        pushes.drained(connection);
        break;
      case 'settle':
        turns.finish();
        break;
      case 'subscribe': {
        const { id, context, flagIds } = operation;
        turns.startsAtOnce = context.user_id.length % 2 === 0;
        known.set(id, { context, flagIds, answers: undefined });
        const asked = { userId: context.user_id, attributes: context.attributes };
        pushes.subscribe(connection, { type: 'subscribe', id, environment: 'prod', context: asked, flagIds });
        turns.startsAtOnce = true;
        break;
      }
      default:
        client.read();
        known.delete(operation.id);
        if (operation.kind === 'unsubscribe') pushes.unsubscribe(connection, { type: 'unsubscribe', id: operation.id });
        else pushes.watch(connection, { type: 'watch', id: operation.id, environment: 'prod' });
    }
  }

  async end(): Promise<void> {
    for (const { connection } of this.clients) {
      connection.unsent = 0;
      this.pushing.pushes.drained(connection);
    }
    await this.pushing.settle();
    for (const client of this.clients) {
      client.read();
      for (const known of client.known.values()) this.check(client, known);
      client.connection.close(1000, '');
    }
  }

  private check({ connection: { key } }: Client, { context, flagIds, answers }: Known): void {
    const environment = this.pushing.current?.environments.get('prod');
    if (environment === undefined) throw new Error('no environment');
    const asked = { userId: context.user_id, attributes: context.attributes };
    const fresh = new Map<string, string>();
    for (const flagId of flagIds ?? environment.flags.keys()) {
      const flag = environment.flags.get(flagId);
      const isSeen = flag !== undefined && isVisible(key, flag);
      if (!isSeen && flagIds === undefined) continue;
      fresh.set(
        flagId,
        isSeen ? answerText(JSON.parse(evaluate(flag, asked, environment, hashUser).batchJson)) : NOT_FOUND,
      );
    }
    // Of all flags, those that are gone stay with the client as not found.
    const got = new Map([...(answers ?? [])].filter(([, text]) => flagIds !== undefined || text !== NOT_FOUND));
    const [want, have] = [fresh, got].map((map) => JSON.stringify([...map].sort()));
    if (want !== have) throw new Error(`${JSON.stringify({ context, flagIds })}: ${have} instead of ${want}`);
  }

  private key({ keyTags }: State): ServingKey {
    return { ...baseKey, tags: keyTags === undefined ? undefined : new Set(keyTags) };
  }

  private snapshot(state: State) {
    const environment = servingEnvironment(this.naive, (flagId) => state.tags[Number(flagId.at(-1))] ?? []);
    return servingSnapshot(this.revision, [environment], [this.key(state)]);
  }
}

test('the first result and all changes make the latest state, and no change repeats what was known', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryState,
      fc.array(arbitraryOperation, { minLength: 5, maxLength: 40 }),
      async (first, operations) => {
        const trial = new Trial(first);
        for (const operation of operations) await trial.do(operation);
        await trial.end();
      },
    ),
    { seed: 31, numRuns: 150 },
  );
  t.pass('150 sequences');
});
