// Flags, users and expectations for the tests of the kernels.
import fc from 'fast-check';
import type { CompiledFlag, Outcome } from '../../../src/core/compiled.ts';
import { evaluate } from '../../../src/core/evaluate.ts';
import type { Columns } from '../../../src/kernel/batch-columns.ts';
import type { BatchKernel } from '../../../src/kernel/batch-kernel.ts';
import { hashUser } from '../../../src/kernel/murmur3.ts';
import { alone, compiled } from '../core/support.ts';

const encoder = new TextEncoder();

export interface User {
  readonly id: string;
  readonly attributes?: string;
}

/** Users as on the wire. */
export function wire(users: readonly User[], withAttributes = false): Buffer {
  return Buffer.concat(
    users.flatMap(({ id, attributes = '' }) => {
      const bytes = encoder.encode(id);
      const length = Buffer.alloc(2);
      length.writeUInt16LE(bytes.length);
      if (!withAttributes) return [length, bytes];
      const attributesLength = Buffer.alloc(4);
      attributesLength.writeUInt32LE(Buffer.byteLength(attributes));
      return [length, bytes, attributesLength, Buffer.from(attributes)];
    }),
  );
}

/** Scans what must be good. */
export function scanned(kernel: BatchKernel, users: readonly User[]): void {
  const bytes = wire(users);
  kernel.users.set(bytes);
  const taken = kernel.scan(bytes.length, users.length, false);
  if (taken !== bytes.length) throw new Error(`scan took ${taken} of ${bytes.length}: ${kernel.problem}`);
}

/** What core answers; undefined where there is no flag. Flags depend on nothing. */
export function answers(flags: readonly (CompiledFlag | undefined)[], id: string): readonly (Outcome | undefined)[] {
  return flags.map((flag) =>
    flag === undefined ? undefined : evaluate(flag, { userId: id, attributes: undefined }, alone, hashUser),
  );
}

/** The three kinds of cells that a kernel must give: the evaluator's columns are left as the interface has it. */
export function expected(flags: readonly (CompiledFlag | undefined)[], columns: Columns, users: readonly User[]) {
  const open = new Set(columns.forEvaluator);
  const rows = users.map(({ id }) =>
    answers(flags, id).map((outcome, column) => (open.has(column) ? undefined : outcome)),
  );
  return {
    variants: rows.flatMap((row) => row.map((outcome) => outcome?.variantIndex ?? 255)),
    outcomes: rows.flatMap((row) => row.map((outcome) => outcome?.index ?? 0)),
    packed: rows.flatMap((row) => bits(row.map((outcome) => outcome?.enabled === true))),
  };
}

function bits(row: readonly boolean[]): readonly number[] {
  return Array.from({ length: Math.ceil(row.length / 8) }, (_, byte) =>
    row.slice(byte * 8, byte * 8 + 8).reduce((sum, bit, i) => sum | (bit ? 1 << i : 0), 0),
  );
}

/** Cells of all three kinds, as the kernel gives them. */
export function given(kernel: BatchKernel, columns: Columns, first: number, count: number) {
  return {
    variants: [...kernel.variants(columns, first, count)],
    outcomes: [...kernel.outcomes(columns, first, count)],
    packed: [...kernel.packed(columns, first, count)],
  };
}

/** A split between many ranges, which no fresh layout would have. */
export function fragmented(flagId: string, ranges: number, variants: number, more: object = {}): CompiledFlag {
  const names = Array.from({ length: variants }, (_, i) => `v${i}`);
  const allocation = Array.from({ length: ranges }, (_, i) => [
    Math.floor((i * 10_000) / ranges),
    Math.floor(((i + 1) * 10_000) / ranges),
    names[i % variants] as string,
  ]) as [number, number, string][];
  const flag = compiled({
    flag_id: flagId,
    enabled: true,
    type: 'string',
    variants: Object.fromEntries(names.map((name) => [name, name])),
    off_variant: 'v0',
    rollout: names.map((variant, i) => ({ variant, percentage: i === 0 ? 100 - (variants - 1) * 0.25 : 0.25 })),
    ...more,
  });
  // The layout is what the store keeps; the edges are what compile makes of it.
  const served = (name: string) => flag.split?.outcomes.find(({ variant }) => variant === name) as Outcome;
  return {
    ...flag,
    split: {
      edges: Uint16Array.from(allocation, ([, edge]) => edge),
      outcomes: allocation.map(([, , name]) => served(name)),
    },
  };
}

const flagIds = fc
  .tuple(
    fc.constantFrom('a', 'A', '7'),
    fc.string({ unit: fc.constantFrom('a', '-', '.', '_', 'Z', '9'), maxLength: 60 }),
  )
  .map(([head, tail]) => head + tail);

const salts = fc.option(
  fc.oneof(fc.string({ unit: fc.constantFrom('s', ':', 'é', 'ł', '旗', '🚩'), minLength: 1, maxLength: 40 }), flagIds),
  { nil: null },
);

const percentages = fc.integer({ min: 0, max: 10_000 }).map((edge) => edge / 100);

const booleans = fc
  .record({ flag_id: flagIds, salt: salts, enabled: fc.boolean(), rollout_percentage: percentages })
  .map(compiled);

const splits = fc
  .record({
    id: flagIds,
    salt: salts,
    ranges: fc.integer({ min: 2, max: 256 }),
    variants: fc.integer({ min: 2, max: 9 }),
  })
  .map(({ id, salt, ranges, variants }) => fragmented(id, Math.max(ranges, variants), variants, { salt }));

const forEvaluator = fc.tuple(flagIds, fc.integer({ min: 0, max: 2 })).map(([id, kind]) => {
  const base = { flag_id: id, enabled: true, rollout_percentage: 50 };
  if (kind === 0) return compiled({ ...base, bucket_by: 'company' });
  if (kind === 1) return compiled({ ...base, targets: [{ variant: 'on', user_ids: ['u'] }] });
  const when = { all: [{ attribute: 'country', op: 'in', values: ['PL'] }] };
  return compiled({ ...base, rules: [{ rule_id: 'r', when, serve: { variant: 'on' } }] });
});

/** Columns of all kinds: most of them the kernel decides. */
export const someFlags: fc.Arbitrary<readonly (CompiledFlag | undefined)[]> = fc.array(
  fc.oneof(
    { arbitrary: booleans, weight: 8 },
    { arbitrary: splits, weight: 3 },
    { arbitrary: forEvaluator, weight: 1 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  ),
  { maxLength: 40 },
);

/** Ids of 1 to about 300 bytes, ASCII and not; now and then the longest there is. */
export const someUsers: fc.Arbitrary<readonly User[]> = fc.array(
  fc
    .oneof(
      { arbitrary: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 300 }), weight: 40 },
      { arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 75 }), weight: 40 },
      { arbitrary: fc.constantFrom('x'.repeat(65_535), `${'ł'.repeat(32_767)}y`), weight: 1 },
    )
    .map((id) => ({ id })),
  { minLength: 1, maxLength: 12 },
);
