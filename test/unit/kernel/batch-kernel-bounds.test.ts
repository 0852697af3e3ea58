// How much the kernels hold, and what the one in WebAssembly does with more and more images.
import { test } from 'tap';
import type { CompiledFlag } from '../../../src/core/compiled.ts';
import { type Columns, makeColumns } from '../../../src/kernel/batch-columns.ts';
import { makeFragments } from '../../../src/kernel/batch-fragments.ts';
import { HEAD_BYTES } from '../../../src/kernel/batch-kernel.ts';
import { createBatchKernel } from '../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../src/kernel/js-kernel.ts';
import { compiled } from '../core/support.ts';
import { expected, fragmented, given, scanned, type User } from './support.ts';

const ARENA_BYTES = 8_388_608;
const kernels = [createJsKernel(), createBatchKernel().kernel];
const flag = compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50 });
const users: readonly User[] = ['a', 'ab', 'abc', 'abcd', 'ł'].map((id) => ({ id }));

/** One flag's document compiled once, under many suffixes. */
function flagsOf(count: number, tag: string, bytes = 12): readonly CompiledFlag[] {
  return Array.from({ length: count }, (_, i) => ({
    ...flag,
    hashSuffix: new TextEncoder().encode(`:${tag}${i}`.padEnd(bytes, '_')),
  }));
}

for (const kernel of kernels) {
  test(`${kernel.name}: all cells there are can be asked for in one call, and not one more`, (t) => {
    const { cellsMax } = kernel;
    t.equal(cellsMax, 131_072);
    const wide = makeColumns(new Array(cellsMax).fill(flag));
    scanned(kernel, users.slice(0, 1));
    const [first] = kernel.variants(wide, 0, 1);
    for (const cells of [kernel.variants(wide, 0, 1), kernel.packed(wide, 0, 1), kernel.outcomes(wide, 0, 1)]) {
      t.equal(new Set(cells).size, 1, 'the same flag, the same answer');
    }
    t.equal(kernel.variants(wide, 0, 1)[0], first);
    scanned(kernel, users);
    t.throws(() => kernel.variants(wide, 0, 2), RangeError);
    const over = makeColumns(new Array(cellsMax + 1).fill(undefined));
    t.throws(() => kernel.variants(over, 0, 1), RangeError);
    t.throws(() => kernel.outcomes(over, 0, 1), RangeError);
    t.throws(() => kernel.packed(over, 0, 1), RangeError);

    const many = Array.from({ length: kernel.usersMax }, (_, i) => ({ id: `u${i}` }));
    scanned(kernel, many);
    const thirteen = makeColumns(flagsOf(13, 'x'));
    t.equal(kernel.variants(thirteen, 0, many.length).length, 130_000);
    t.throws(() => kernel.packed(thirteen, 0, many.length), RangeError, 'rows of 16 cells with their padding');
    t.equal(kernel.packed(thirteen, 0, 8192).length, 8192 * 2);
    t.end();
  });

  test(`${kernel.name}: rows of scanned users only`, (t) => {
    const columns = makeColumns([flag]);
    scanned(kernel, users);
    t.same([...kernel.variants(columns, 3, 2)], expected([flag], columns, users.slice(3)).variants);
    t.same([...kernel.variants(columns, 5, 0)], []);
    for (const [first, count] of [
      [0, 6],
      [5, 1],
      [6, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
    ] as const) {
      for (const method of ['variants', 'packed', 'outcomes'] as const) {
        t.throws(() => kernel[method](columns, first, count), RangeError, `${method} of ${count} from ${first} on`);
      }
    }
    t.end();
  });

  test(`${kernel.name}: a head can be written before the cells without touching them`, (t) => {
    const columns = makeColumns(flagsOf(40, 'h'));
    scanned(kernel, users);
    const wanted = expected(flagsOf(40, 'h'), columns, users);
    for (const method of ['variants', 'packed'] as const) {
      const cells = kernel[method](columns, 0, users.length);
      new Uint8Array(cells.buffer, cells.byteOffset - HEAD_BYTES, HEAD_BYTES).fill(0xee);
      t.same([...cells], wanted[method]);
      t.equal(kernel.userBytes(0), 1);
    }
    t.end();
  });

  test(`${kernel.name}: rows of every width are whole, and their last byte ends in zeros`, (t) => {
    for (let width = 0; width <= 70; width++) {
      const flags = [...flagsOf(width >> 1, 'w', 3 + (width % 9)), ...new Array(width - (width >> 1)).fill(undefined)];
      const columns = makeColumns(flags);
      scanned(kernel, users);
      t.same(given(kernel, columns, 0, users.length), expected(flags, columns, users), `${width} columns`);
    }
    t.end();
  });

  test(`${kernel.name}: the longest suffix and the most ranges and outcomes`, (t) => {
    const salt = '🚩'.repeat(128);
    const flags = [fragmented('f', 256, 250, { salt }), fragmented('f', 8, 2, { salt }), fragmented('f', 9, 3)];
    const columns = makeColumns(flags);
    const many = Array.from({ length: 500 }, (_, i) => ({ id: `user-${'x'.repeat(i % 5)}${i}` }));
    scanned(kernel, many);
    t.same(given(kernel, columns, 0, many.length), expected(flags, columns, many));
    t.end();
  });

  test(`${kernel.name}: an image larger than the arena is answered all the same`, (t) => {
    const flags = flagsOf(9000, 'large', 240);
    const columns = makeColumns(flags);
    t.ok(columns.image.length > ARENA_BYTES, `${columns.image.length} bytes`);
    scanned(kernel, users);
    t.same(given(kernel, columns, 0, users.length), expected(flags, columns, users));

    const small = makeColumns([flag, undefined]);
    kernel.outcomes(small, 0, users.length).fill(0);
    const text = '"'.padEnd(9_000_000, 'z');
    const fragments = makeFragments([['1', text], ['null']], 16_000_000);
    if (fragments === undefined) throw new Error('too large');
    t.ok(fragments.image.length > ARENA_BYTES);
    const reply = Buffer.from(kernel.assemble(fragments, 1, 2, 0x5b, 0x5d)).toString();
    t.equal(reply, '[1,null],[1,null]');
    t.equal(kernel.rowsWritten, 2);
    t.end();
  });

  test(`${kernel.name}: images come and go, and each is answered by its own`, (t) => {
    const made: { columns: Columns; flags: readonly CompiledFlag[] }[] = [];
    let bytes = 0;
    while (bytes < 3 * ARENA_BYTES) {
      const flags = flagsOf(2000, `p${made.length}-`, 30);
      const columns = makeColumns(flags);
      bytes += columns.image.length;
      made.push({ columns, flags });
    }
    t.ok(made.length > 20, `${made.length} images`);
    scanned(kernel, users.slice(0, 1));
    const first = { columns: makeColumns([flag]), flags: [flag] };
    const wanted = made.map(({ columns, flags }) => expected(flags, columns, users.slice(0, 1)).variants);
    const wrong: number[] = [];
    // Twice, the second time the other way round, with one in between that is used again and again.
    for (const i of [...made.keys(), ...[...made.keys()].reverse()]) {
      const cells = [...kernel.variants((made[i] as { columns: Columns }).columns, 0, 1)];
      if (String(cells) !== String(wanted[i])) wrong.push(i);
      if (kernel.variants(first.columns, 0, 1)[0] !== expected([flag], first.columns, users.slice(0, 1)).variants[0]) {
        wrong.push(-1);
      }
    }
    t.same(wrong, []);
    t.end();
  });
}
