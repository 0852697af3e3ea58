import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { makeColumns } from '../../../src/kernel/batch-columns.ts';
import type { BatchKernel } from '../../../src/kernel/batch-kernel.ts';
import { createBatchKernel } from '../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../src/kernel/js-kernel.ts';
import { findDisagreement } from '../../../src/kernel/kernel-agreement.ts';
import { compiled } from '../core/support.ts';
import { expected, given, scanned } from './support.ts';

const wasm = readFileSync(new URL('../../../native/kernel.wasm', import.meta.url));

test('the kernel in WebAssembly is loaded, and agrees with the reference', (t) => {
  const { kernel, warning } = createBatchKernel();
  t.equal(warning, undefined);
  t.equal(kernel.name, 'wasm');
  t.equal(findDisagreement(createJsKernel()), undefined, 'so does the one in JavaScript');
  t.end();
});

test('where it cannot be loaded, JavaScript serves, and one line says why', (t) => {
  const folder = t.testdir({ 'none.wasm': '', 'text.wasm': 'not a module' });
  writeFileSync(join(folder, 'cut.wasm'), wasm.subarray(0, 1000));
  // A module without anything.
  writeFileSync(join(folder, 'empty.wasm'), wasm.subarray(0, 8));
  for (const name of ['missing.wasm', 'none.wasm', 'text.wasm', 'cut.wasm', 'empty.wasm']) {
    const { kernel, warning } = createBatchKernel(join(folder, name));
    t.equal(kernel.name, 'js', name);
    t.match(warning, /^batches are evaluated in JavaScript, several times slower: ./);
    t.notMatch(warning, /\n/);
    const columns = makeColumns([compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50 })]);
    scanned(kernel, [{ id: 'u' }]);
    t.equal(kernel.variants(columns, 0, 1).length, 1);
  }
  t.end();
});

test('a kernel that hashes otherwise does not serve', (t) => {
  // The second constant of MurmurHash3, 0x1b873593, as the module holds it: as a number, and four times.
  const number = Buffer.from([0x93, 0xeb, 0x9c, 0xdc, 0x01]);
  const four = Buffer.from([0x93, 0x35, 0x87, 0x1b]);
  for (const [i, constant] of [number, four].entries()) {
    const broken = Buffer.from(wasm);
    let at = broken.indexOf(constant);
    t.not(at, -1);
    for (; at !== -1; at = broken.indexOf(constant, at + 1)) broken[at] = 0x95;
    const file = join(t.testdir(), `broken-${i}.wasm`);
    writeFileSync(file, broken);
    const { kernel, warning } = createBatchKernel(file);
    t.equal(kernel.name, 'js');
    t.match(warning, /variants differ at cell \d+$/);
  }
  t.end();
});

test('each answer that differs is found', (t) => {
  const good = createJsKernel();
  const bent = (changes: Partial<BatchKernel>): BatchKernel =>
    Object.defineProperties(Object.create(good), Object.getOwnPropertyDescriptors(changes)) as BatchKernel;
  const lastChanged = <T extends Uint8Array | Uint16Array>(cells: T): T => {
    cells[cells.length - 1] = (cells[cells.length - 1] as number) ^ 1;
    return cells;
  };
  const cases: readonly (readonly [Partial<BatchKernel>, RegExp])[] = [
    [{ scan: () => -1 }, /refuses good users/],
    [{ scan: (bytes, count) => Math.max(bytes, good.scan(bytes, count, false)) }, /takes bad user 0/],
    [{ variants: (...all) => lastChanged(good.variants(...all)) }, /variants differ/],
    [{ packed: (...all) => lastChanged(good.packed(...all)) }, /packed differs/],
    [{ outcomes: (...all) => lastChanged(good.outcomes(...all)) }, /outcomes differ/],
    [{ assemble: (...all) => lastChanged(good.assemble(...all)) }, /texts differ/],
    [{ rowsWritten: 3 }, /wrote 3 rows of 8/],
  ];
  for (const [changes, found] of cases) t.match(findDisagreement(bent(changes)), found);
  t.end();
});

test('a second kernel has a memory of its own', (t) => {
  const flags = [compiled({ flag_id: 'f', enabled: true, rollout_percentage: 50 })];
  const columns = makeColumns(flags);
  const [one, two] = [createBatchKernel().kernel, createBatchKernel().kernel];
  const [a, b] = [[{ id: 'user-1' }], [{ id: 'another' }, { id: 'x' }]];
  scanned(one, a);
  scanned(two, b);
  t.same(given(one, columns, 0, 1), expected(flags, columns, a));
  t.same(given(two, columns, 0, 2), expected(flags, columns, b));
  t.end();
});
