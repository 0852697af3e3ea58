// Rows of outcomes as JSON, by both kernels.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { makeColumns } from '../../../src/kernel/batch-columns.ts';
import { type Fragments, makeFragments } from '../../../src/kernel/batch-fragments.ts';
import type { BatchKernel } from '../../../src/kernel/batch-kernel.ts';
import { createBatchKernel } from '../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../src/kernel/js-kernel.ts';
import { compiled } from '../core/support.ts';
import { answers, scanned, someFlags, someUsers } from './support.ts';

const kernels = [createJsKernel(), createBatchKernel().kernel];
const [OPEN, CLOSE] = [0x5b, 0x5d];
const flag = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50 });

function fragmentsOf(columns: readonly (readonly string[])[]): Fragments {
  const fragments = makeFragments(columns, 64 * 1_048_576);
  if (fragments === undefined) throw new Error('too large');
  return fragments;
}

/** So many rows of the columns, all cells 0. */
function zeros(kernel: BatchKernel, rows: number, columnCount: number): Uint16Array {
  scanned(
    kernel,
    Array.from({ length: rows }, () => ({ id: 'u' })),
  );
  return kernel.outcomes(makeColumns(new Array(columnCount).fill(undefined)), 0, rows);
}

for (const kernel of kernels) {
  const assemble = (fragments: Fragments, first: number, count: number): string =>
    Buffer.from(kernel.assemble(fragments, first, count, OPEN, CLOSE)).toString();

  test(`${kernel.name}: rows are the prepared texts of what core answers, however they are sliced`, (t) => {
    fc.assert(
      fc.property(someFlags, someUsers, fc.nat(), (flags, users, cut) => {
        const columns = makeColumns(flags);
        const fragments = fragmentsOf(
          flags.map((each) => each?.outcomes.map(({ batchJson }) => batchJson) ?? ['null']),
        );
        scanned(kernel, users);
        const outcomes = kernel.outcomes(columns, 0, users.length);
        const rows = users.map(({ id }) => answers(flags, id));
        for (const [row, cells] of rows.entries()) {
          for (const column of columns.forEvaluator) outcomes[row * flags.length + column] = cells[column]?.index ?? 0;
        }
        const at = cut % (users.length + 1);
        const slices = [assemble(fragments, 0, at), assemble(fragments, at, users.length - at)];
        const joined = `[${slices.filter((slice) => slice !== '').join(',')}]`;
        const wanted = rows.map((cells) => cells.map((outcome) => JSON.parse(outcome?.batchJson ?? 'null')));
        assert.deepEqual(JSON.parse(joined), wanted);
      }),
      { seed: 8, numRuns: 150 },
    );
    t.end();
  });

  test(`${kernel.name}: texts of all lengths come out whole, with what stands around them`, (t) => {
    for (let length = 0; length < 600; length++) {
      const text = 'łx'.repeat(length).slice(0, length);
      zeros(kernel, 2, 3);
      const row = `[${text},1,${text}]`;
      assert.equal(assemble(fragmentsOf([[text], ['1'], [text]]), 0, 2), `${row},${row}`);
    }
    t.end();
  });

  test(`${kernel.name}: a row of no columns is empty, and no rows are nothing`, (t) => {
    zeros(kernel, 2, 0);
    t.equal(assemble(fragmentsOf([]), 0, 2), '[],[]');
    t.equal(assemble(fragmentsOf([]), 1, 0), '');
    t.equal(kernel.rowsWritten, 0);
    t.end();
  });

  test(`${kernel.name}: as many rows as fit are written, to the last byte`, (t) => {
    // Seventeen rows and sixteen commas are the whole area.
    const bytes = (1_048_576 - 16 - 17 * 2) / 17;
    t.equal(bytes % 1, 0);
    for (const [length, rows] of [
      [bytes, 17],
      [bytes + 1, 16],
      [1_048_574, 1],
      [1_048_575, 0],
      [2_000_000, 0],
    ] as const) {
      zeros(kernel, 20, 1);
      const reply = assemble(fragmentsOf([['y'.repeat(length)]]), 0, 20);
      t.equal(kernel.rowsWritten, rows, `texts of ${length} bytes`);
      t.equal(reply === Array.from({ length: rows }, () => `[${'y'.repeat(length)}]`).join(','), true);
    }
    for (let slack = 0; slack < 8; slack++) {
      zeros(kernel, 2, 2);
      const reply = assemble(fragmentsOf([['a'.repeat(524_284)], ['b'.repeat(524_284 + slack)]]), 0, 2);
      // With the brackets and the comma it is 524,284 * 2 + 3 and what was added.
      const fits = 524_284 * 2 + slack + 3 <= 1_048_576;
      t.equal(kernel.rowsWritten, fits ? 1 : 0);
      t.equal(reply.length, fits ? 524_284 * 2 + slack + 3 : 0);
    }
    t.end();
  });

  test(`${kernel.name}: many short rows end where the area does`, (t) => {
    zeros(kernel, 10_000, 13);
    const fragments = fragmentsOf(Array.from({ length: 13 }, () => ['1234567']));
    const row = `[${Array.from({ length: 13 }, () => '1234567').join(',')}]`;
    const reply = assemble(fragments, 0, 10_000);
    t.equal(kernel.rowsWritten, Math.floor((1_048_576 + 1) / (row.length + 1)));
    t.equal(reply === Array.from({ length: kernel.rowsWritten }, () => row).join(','), true);
    t.end();
  });

  test(`${kernel.name}: a cell that is no outcome of its flag, and rows that are not there, are the caller's mistakes`, (t) => {
    const cells = zeros(kernel, 2, 2);
    const fragments = fragmentsOf([['a', 'b'], ['c']]);
    cells.set([1, 0, 1, 0]);
    t.equal(assemble(fragments, 0, 2), '[b,c],[b,c]');
    cells[3] = 1;
    t.throws(() => assemble(fragments, 0, 2), /column 1 /);
    t.throws(() => assemble(fragments, 1, 2), RangeError);
    t.throws(() => assemble(fragments, 3, 0), RangeError);
    t.throws(() => assemble(fragmentsOf([['a']]), 0, 1), RangeError);
    kernel.variants(makeColumns([undefined, undefined]), 0, 2);
    t.throws(() => assemble(fragments, 0, 2), RangeError, 'other cells stand where the outcomes were');
    t.end();
  });
}

test('fragments are made up to a size, and not above', (t) => {
  const columns = flag.outcomes.map(({ batchJson }) => [batchJson, '']);
  const size = fragmentsOf(columns).image.length;
  t.equal(makeFragments(columns, size)?.image.length, size);
  t.equal(makeFragments(columns, size - 1), undefined);
  t.equal(makeFragments([], 1024)?.count, 0);
  t.end();
});
