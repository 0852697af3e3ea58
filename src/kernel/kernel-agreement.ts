// Whether a kernel gives the answers of the reference: asked once, before it serves. What is asked goes each way through
// it: users of all lengths and alignments, ASCII and not, columns of every kind, rows of bits, texts, refusals.
import { compileFlag } from '../core/compile.ts';
import type { CompiledFlag, EvaluationScope, Outcome } from '../core/compiled.ts';
import { evaluate } from '../core/evaluate.ts';
import { makeColumns } from './batch-columns.ts';
import { makeFragments } from './batch-fragments.ts';
import type { BatchKernel, ScanProblem } from './batch-kernel.ts';
import { hashUser } from './murmur3.ts';

const USER_BYTES_MAX = 70;
/** And of suffixes one more: none to five whole blocks, with every length of what is left over; and one long one. */
const ID_CHARS_MAX = 20;
const LONG_ID_CHARS = 53;
const FRAGMENTS_BYTES_MAX = 1_048_576;

/** What differs first; undefined: nothing does. Takes some tens of milliseconds the first time. */
export function findDisagreement(kernel: BatchKernel): string | undefined {
  const users = someUsers();
  const flags = someFlags();
  const rows = users.map((userId) => flags.map((flag) => answer(flag, userId)));
  const cells = rows.flat();
  const bytes = wireOf(users);
  kernel.users.set(bytes);
  if (kernel.scan(bytes.length, users.length, false) !== bytes.length) return 'scan refuses good users';

  const columns = makeColumns(flags);
  const variants = kernel.variants(columns, 0, users.length);
  for (const [i, outcome] of cells.entries()) {
    if (variants[i] !== (outcome?.variantIndex ?? 255)) return `variants differ at cell ${i}`;
  }
  const packed = kernel.packed(columns, 0, users.length);
  const rowBytes = Math.ceil(flags.length / 8);
  for (const [i, outcome] of cells.entries()) {
    const column = i % flags.length;
    const byte = packed[Math.floor(i / flags.length) * rowBytes + (column >> 3)] ?? 0;
    if (((byte >> (column & 7)) & 1) !== (outcome?.enabled === true ? 1 : 0)) return `packed differs at cell ${i}`;
  }
  const outcomes = kernel.outcomes(columns, 0, users.length);
  for (const [i, outcome] of cells.entries()) {
    if (outcomes[i] !== (outcome?.index ?? 0)) return `outcomes differ at cell ${i}`;
  }
  return findDifferentText(kernel, flags, rows) ?? findDifferentRefusal(kernel);
}

/** After `outcomes`. Rows are taken from the second on, so that a row's own cells are used. */
function findDifferentText(
  kernel: BatchKernel,
  flags: readonly (CompiledFlag | undefined)[],
  rows: readonly (readonly (Outcome | undefined)[])[],
): string | undefined {
  const texts = flags.map((flag) => flag?.outcomes.map(({ batchJson }) => batchJson) ?? ['null']);
  const fragments = makeFragments(texts, FRAGMENTS_BYTES_MAX);
  if (fragments === undefined) return 'the fragments are too large';
  const wanted = rows.slice(1, 9).map((row) => `[${row.map((outcome) => outcome?.batchJson ?? 'null').join(',')}]`);
  const reply = kernel.assemble(fragments, 1, wanted.length, 0x5b, 0x5d);
  if (kernel.rowsWritten !== wanted.length) return `assemble wrote ${kernel.rowsWritten} rows of ${wanted.length}`;
  return Buffer.from(reply).toString() === wanted.join(',') ? undefined : 'assembled texts differ';
}

/** Users that must be refused, each behind a good one. */
const REFUSED: readonly { readonly why: ScanProblem; readonly bytes: readonly number[] }[] = [
  { why: 'truncated', bytes: [5, 0, 0x61] },
  { why: 'truncated', bytes: [5] },
  { why: 'empty', bytes: [0, 0] },
  { why: 'not-utf8', bytes: [2, 0, 0xc1, 0xbf] },
  { why: 'not-utf8', bytes: [3, 0, 0xed, 0xa0, 0x80] },
  { why: 'not-utf8', bytes: [4, 0, 0xf4, 0x90, 0x80, 0x80] },
  { why: 'not-utf8', bytes: [2, 0, 0xe2, 0x82] },
];

function findDifferentRefusal(kernel: BatchKernel): string | undefined {
  for (const [i, { why, bytes }] of REFUSED.entries()) {
    const frame = Buffer.concat([wireOf(['good']), Uint8Array.from(bytes)]);
    kernel.users.set(frame);
    const taken = kernel.scan(frame.length, 2, false);
    if (taken !== -1 || kernel.problem !== why || kernel.problemUser !== 1) return `scan takes bad user ${i}`;
  }
  return undefined;
}

/** Each length in ASCII; then characters of two to four bytes, with none to seven of ASCII among them. */
function someUsers(): readonly string[] {
  const lengths = Array.from({ length: USER_BYTES_MAX }, (_, i) => i + 1);
  return [
    ...lengths.map((length) => 'user-7a9b'.repeat(length).slice(-length)),
    ...lengths.map((length) => `${'🚩ł€é'.repeat(length >> 4)}${'xyz0123'.slice(0, length % 8)}é`),
  ];
}

function wireOf(users: readonly string[]): Uint8Array {
  return Buffer.concat(
    users.flatMap((userId) => {
      const bytes = Buffer.from(userId);
      return [Uint8Array.of(bytes.length & 255, bytes.length >> 8), bytes];
    }),
  );
}

/** Every length of suffix with one edge, every fourth with many ranges, and some that no bucket decides. */
function someFlags(): readonly (CompiledFlag | undefined)[] {
  const lengths = Array.from({ length: ID_CHARS_MAX }, (_, i) => i + 1);
  return [
    undefined,
    ...lengths.map((length) => booleanFlag(length, 50)),
    ...lengths.filter((length) => length % 4 === 1).map((length) => booleanFlag(length, 12.34)),
    booleanFlag(LONG_ID_CHARS, 50),
    booleanFlag(3, 0),
    booleanFlag(3, 100),
    ...lengths.filter((length) => length % 4 === 2).map((length) => splitFlag(length, length)),
    splitFlag(9, 256),
  ];
}

function booleanFlag(idChars: number, percentage: number): CompiledFlag {
  return compiled({ flag_id: idOf(idChars), type: 'boolean', rollout_percentage: percentage });
}

/** Between three variants in so many ranges. */
function splitFlag(idChars: number, ranges: number): CompiledFlag {
  const edges = Array.from({ length: ranges + 1 }, (_, i) => Math.floor((i * 10_000) / ranges));
  const names = ['a', 'b', 'c'];
  const allocation = edges.slice(1).map((edge, i) => [edges[i], edge, names[i % names.length]] as const);
  const share = (name: string): number =>
    allocation.reduce((sum, [from = 0, to, variant]) => sum + (variant === name ? to - from : 0), 0);
  return compiled({
    flag_id: idOf(idChars),
    type: 'string',
    variants: { a: 'A', b: 'B', c: 'C' },
    off_variant: 'a',
    rollout: names.map((variant) => ({ variant, percentage: share(variant) / 100 })),
    allocation,
  });
}

function idOf(chars: number): string {
  return 'new-checkout.flow_7'.repeat(3).slice(0, chars);
}

function compiled(part: { readonly flag_id: string; readonly [name: string]: unknown }): CompiledFlag {
  const document = {
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: true,
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: [],
    version: 1,
    revision: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    updated_by: 'kernel',
    ...part,
  };
  const flag = compileFlag(JSON.stringify(document), { environment: 'prod', id: part.flag_id });
  if (flag.quarantined !== undefined) throw new Error(`a flag to ask the kernel about: ${flag.quarantined}`);
  return flag;
}

const ALONE: EvaluationScope = { flags: new Map(), segments: new Map() };

function answer(flag: CompiledFlag | undefined, userId: string): Outcome | undefined {
  return flag === undefined ? undefined : evaluate(flag, { userId, attributes: undefined }, ALONE, hashUser);
}
