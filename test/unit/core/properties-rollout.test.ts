// What users of percentages are promised: growing keeps everybody, reweighting moves no more than it must, shares are
// even, and flags know nothing of each other.
import fc from 'fast-check';
import { test } from 'tap';
import type { CompiledFlag } from '../../../src/core/compiled.ts';
import { parseDocument } from '../../../src/core/document.ts';
import { replaceFlag } from '../../../src/core/edit.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { FlagDefinition, Serve, WeightedVariant } from '../../../src/core/model.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { compileDefinition } from '../../support/arbitrary-environments.ts';
import { alone, create, documentOf, unwrap } from './support.ts';

const BUCKETS = 10_000;

/** The variant of each bucket: the hash is an argument, so every one of them can be asked for. */
function owners(flag: CompiledFlag): readonly string[] {
  return Array.from({ length: BUCKETS }, (_, bucket) => {
    return evaluate(flag, { userId: 'u', attributes: undefined }, alone, () => bucket).variant;
  });
}

const arbitraryUser = fc.string({ unit: 'binary', minLength: 1 });
const everyone = { all: [] };

test('raising a boolean rollout, of a flag or of a rule, keeps everybody who was on', (t) => {
  const percentage = (edge: number) => ({ enabled: true, rollout_percentage: edge / 100 });
  const inRule = (edge: number) => ({
    ...percentage(0),
    rules: [{ rule_id: 'r', when: everyone, serve: { rollout_percentage: edge / 100 } }],
  });
  let raised = 0;
  let wasOn = 0;
  fc.assert(
    fc.property(
      fc.tuple(fc.nat(BUCKETS), fc.nat(BUCKETS)).map((edges) => edges.toSorted((a, b) => a - b) as [number, number]),
      fc.constantFrom(percentage, inRule),
      fc.array(arbitraryUser, { minLength: 50, maxLength: 50 }),
      ([low, high], body, users) => {
        const first = create({ flag_id: 'f', ...body(low) });
        const before = compileDefinition(first);
        const after = compileDefinition(unwrap(replaceFlag(first, body(high))));
        return users.every((userId) => {
          raised++;
          const isOn = (flag: CompiledFlag) =>
            evaluate(flag, { userId, attributes: undefined }, alone, hashUser).enabled;
          if (!isOn(before)) return true;
          wasOn++;
          return isOn(after);
        });
      },
    ),
    { numRuns: 400, seed: 1 },
  );
  t.equal(raised, 20_000);
  t.ok(wasOn > 5000, `${wasOn} of ${raised} were on before`);
  t.end();
});

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;

const arbitraryWeights: fc.Arbitrary<readonly WeightedVariant[]> = fc
  .tuple(
    fc.shuffledSubarray([...NAMES], { minLength: 1 }),
    fc.array(
      fc.oneof(
        fc.nat(BUCKETS),
        fc.nat(100).map((n) => n * 100),
      ),
      { minLength: 4, maxLength: 4 },
    ),
  )
  .map(([variants, cuts]) => {
    const edges = cuts.slice(0, variants.length - 1).toSorted((a, b) => a - b);
    return variants.map((variant, i) => ({
      variant,
      percentage: ((edges[i] ?? BUCKETS) - (edges[i - 1] ?? 0)) / 100,
    }));
  });

const colors = {
  flag_id: 'f',
  enabled: true,
  type: 'string',
  variants: Object.fromEntries(NAMES.map((name) => [name, name])),
  off_variant: 'a',
};

/** The same split as the flag's own, or as that of a rule. */
const PLACES = [
  (rollout: readonly WeightedVariant[]) => ({ ...colors, rollout }),
  (rollout: readonly WeightedVariant[]) => ({
    ...colors,
    rollout: [{ variant: 'a', percentage: 100 }],
    rules: [{ rule_id: 'r', when: everyone, serve: { rollout } }],
  }),
] as const;

function allocationOf(definition: FlagDefinition): unknown {
  const serve: Serve | undefined = definition.rules[0]?.serve;
  return serve !== undefined && 'allocation' in serve ? serve.allocation : definition.allocation;
}

test('reweighting moves exactly the buckets that the weights demand, reordering none, and rolling back restores all', (t) => {
  let steps = 0;
  let moved = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...PLACES),
      fc.array(arbitraryWeights, { minLength: 3, maxLength: 5 }),
      (place, [first = [], ...later]) => {
        let definition = create(place(first));
        let before = owners(compileDefinition(definition));
        for (const weights of later) {
          const next = unwrap(replaceFlag(definition, place(weights)));
          const after = owners(compileDefinition(next));
          moved += assertLeastMovement(before, after, weights);
          const reordered = unwrap(replaceFlag(next, place(weights.toReversed())));
          assertSame(allocationOf(reordered), allocationOf(next), 'reordering');
          // A rollback stores the old version's text again.
          const restored = unwrap(parseDocument(documentOf(definition)));
          assertSame(allocationOf(restored), allocationOf(definition), 'the stored text');
          assertSame(owners(compileDefinition(restored)), before, 'rolling back');
          [definition, before] = [next, after];
          steps++;
        }
      },
    ),
    { numRuns: 80, seed: 2 },
  );
  t.ok(steps >= 160, `${steps} steps of ${BUCKETS} buckets`);
  t.ok(moved > 0, `${moved} buckets changed hands, none of them more than needed`);
  t.end();
});

/**
 * Shrinking variants give up their highest buckets, growing ones take what was freed, lowest first, in the order of the
 * rollout.
 * @returns buckets that changed hands
 */
function assertLeastMovement(
  before: readonly string[],
  after: readonly string[],
  weights: readonly WeightedVariant[],
): number {
  const wanted = new Map(weights.map(({ variant, percentage }) => [variant, Math.round(percentage * 100)]));
  const bucketsOf = (name: string) => before.flatMap((owner, bucket) => (owner === name ? [bucket] : []));
  const freed = NAMES.flatMap((name) => bucketsOf(name).slice(wanted.get(name) ?? 0)).toSorted((a, b) => a - b);
  const expected = [...before];
  const takers = weights.flatMap(({ variant }) => {
    const growth = Math.max(0, (wanted.get(variant) ?? 0) - bucketsOf(variant).length);
    return new Array<string>(growth).fill(variant);
  });
  assertSame(takers.length, freed.length, 'buckets that change hands');
  for (const [i, bucket] of freed.entries()) expected[bucket] = takers[i] as string;
  assertSame(after, expected, 'buckets');
  return freed.length;
}

function assertSame(got: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(got) !== JSON.stringify(expected)) throw new Error(`${what}: ${got} and not ${expected}`);
}

const USERS = 1_000_000;
const DECILES = 10;

// Ids that differ little are the hardest for a hash to keep apart.
const FLAG_IDS = ['new-checkout', 'new-checkouu', 'a', 'b', 'dark_mode'];
const USER_IDS: Readonly<Record<string, (i: number) => string>> = {
  'user-123': (i) => `user-${i}`,
  decimal: (i) => String(i),
  address: (i) => `${i.toString(36)}@example.com`,
  uuid: (i) => `${i.toString(16).padStart(8, '0')}-7f0b-4f0c-9b2e-5f3c1d1e0a2b`,
};

/** 9,999 degrees of freedom: 0.0005 below and above. */
const UNIFORM_CRITICAL = [9541, 10_471] as const;

/** Tables of 2 x 2 and 10 x 10, 1 and 81 degrees of freedom: 0.001 above. */
const INDEPENDENCE_CRITICAL = [
  [2, 10.83],
  [10, 126.08],
] as const;

function chiSquared(counts: readonly number[], expected: number): number {
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

test('a million users spread evenly over the 10,000 buckets: chi-squared, 9,999 degrees of freedom', (t) => {
  for (const id of FLAG_IDS) {
    const suffix = compileDefinition(create({ flag_id: id })).hashSuffix;
    for (const [kind, userAt] of Object.entries(USER_IDS)) {
      const counts = new Array<number>(BUCKETS).fill(0);
      for (let i = 0; i < USERS; i++) {
        const bucket = hashUser(userAt(i), suffix) % BUCKETS;
        counts[bucket] = (counts[bucket] as number) + 1;
      }
      const statistic = chiSquared(counts, USERS / BUCKETS);
      // A fair hash is outside of this range once in a thousand; users and flags are always the same here.
      const isFair = statistic > UNIFORM_CRITICAL[0] && statistic < UNIFORM_CRITICAL[1];
      t.ok(isFair, `${id}, ${kind}: ${statistic.toFixed(0)} within ${UNIFORM_CRITICAL.join(' and ')}`);
    }
  }
  t.end();
});

/** Which tenth of a flag each user gets, by evaluation. */
function decilesOf(flagId: string, salt: string | null): Uint8Array {
  const names = Array.from({ length: DECILES }, (_, i) => `tenth-${i}`);
  const flag = compileDefinition(
    create({
      flag_id: flagId,
      enabled: true,
      type: 'number',
      variants: Object.fromEntries(names.map((name, i) => [name, i])),
      off_variant: 'tenth-0',
      rollout: names.map((variant) => ({ variant, percentage: 100 / DECILES })),
      salt,
    }),
  );
  const deciles = new Uint8Array(USERS);
  for (let i = 0; i < USERS; i++) {
    deciles[i] = evaluate(flag, { userId: `user-${i}`, attributes: undefined }, alone, hashUser).value as number;
  }
  return deciles;
}

/** How often a user is in row and column; of `size` x `size`. */
function contingency(rows: Uint8Array, columns: Uint8Array, size: number): readonly number[] {
  const counts = new Array<number>(size * size).fill(0);
  const width = DECILES / size;
  for (let i = 0; i < USERS; i++) {
    const cell = Math.floor((rows[i] as number) / width) * size + Math.floor((columns[i] as number) / width);
    counts[cell] = (counts[cell] as number) + 1;
  }
  return counts;
}

/** Of independence, with the margins as they are. */
function independenceStatistic(counts: readonly number[], size: number): number {
  const sumOf = (isIn: (cell: number) => boolean) =>
    counts.reduce((sum, count, cell) => (isIn(cell) ? sum + count : sum), 0);
  const rows = Array.from({ length: size }, (_, i) => sumOf((cell) => Math.floor(cell / size) === i));
  const columns = Array.from({ length: size }, (_, i) => sumOf((cell) => cell % size === i));
  return counts.reduce((sum, count, cell) => {
    const expected = ((rows[Math.floor(cell / size)] as number) * (columns[cell % size] as number)) / USERS;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

test('flags are independent of each other over a million users, and wholly dependent when they share a salt', (t) => {
  const deciles = FLAG_IDS.map((id) => decilesOf(id, null));
  for (const [i, rows] of deciles.entries()) {
    for (const [j, columns] of deciles.entries()) {
      if (j <= i) continue;
      for (const [size, critical] of INDEPENDENCE_CRITICAL) {
        const statistic = independenceStatistic(contingency(rows, columns, size), size);
        const name = `${FLAG_IDS[i]} and ${FLAG_IDS[j]}, ${size} x ${size}`;
        t.ok(statistic < critical, `${name}: ${statistic.toFixed(1)} below ${critical}`);
      }
    }
  }
  const [one, other] = [decilesOf('one', 'shared'), decilesOf('other', 'shared')];
  const counts = contingency(one, other, DECILES);
  t.equal(
    counts.filter((_, cell) => Math.floor(cell / DECILES) === cell % DECILES).reduce((a, b) => a + b),
    USERS,
    'with one salt both flags give every user the same tenth',
  );
  t.end();
});
