// The committed module is what its sources make.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const native = join(root, 'native');

test('building again makes the same bytes', (t) => {
  const out = t.testdir();
  const built = spawnSync(process.execPath, [join(root, 'scripts/build-native.mjs'), '--out', out], {
    encoding: 'utf8',
  });
  t.equal(built.status, 0, built.stderr);
  const again = readFileSync(join(out, 'kernel.wasm'));
  const committed = readFileSync(join(native, 'kernel.wasm'));
  t.ok(again.equals(committed), 'else run npm run build:native and commit what it writes');
  const sum = createHash('sha256').update(committed).digest('hex');
  t.equal(readFileSync(join(native, 'kernel.wasm.sha256'), 'utf8'), `${sum}  kernel.wasm\n`);
  t.equal(readFileSync(join(out, 'kernel.wasm.sha256'), 'utf8'), `${sum}  kernel.wasm\n`);
  t.end();
});

test('both sides have the same numbers', async (t) => {
  const columns = await import('../../../src/kernel/columns-layout.ts');
  const memory = await import('../../../src/kernel/kernel-memory.ts');
  const { HEAD_BYTES } = await import('../../../src/kernel/batch-kernel.ts');
  const there = numbersOf('layout.ts');
  const words = (count: number): number => count * 4;
  const rows = (count: number): number => count * columns.LANES * 4;
  t.match(there, {
    HEAD_BYTES,
    USERS_BYTES: memory.USERS_BYTES,
    USERS_MAX: memory.USERS_MAX,
    CELLS_MAX: memory.CELLS_MAX,
    REPLY_BYTES: memory.REPLY_BYTES,
    PLACE_BYTES: words(memory.PLACE_WORDS),
    IMAGE_COUNT: words(columns.COUNT_WORD),
    IMAGE_VARIANTS: words(columns.VARIANTS_TEMPLATE_WORD),
    IMAGE_ENABLED: words(columns.ENABLED_TEMPLATE_WORD),
    IMAGE_OUTCOMES: words(columns.OUTCOMES_TEMPLATE_WORD),
    IMAGE_GROUPS: words(columns.GROUPS_WORD),
    IMAGE_GROUP_COUNTS: words(columns.GROUP_COUNTS_WORD),
    GROUP_BYTES: words(columns.GROUP_WORDS),
    KIND_TWO: columns.KIND_TWO,
    ROW_BYTES: rows(1),
    COLUMNS: rows(columns.COLUMNS_ROW),
    LENGTHS: rows(columns.LENGTHS_ROW),
    EDGE: rows(columns.EDGE_ROW),
    BELOW: rows(columns.BELOW_ROW),
    ABOVE: rows(columns.ABOVE_ROW),
    TWO_FIRST: rows(columns.TWO_FIRST_ROW),
    RANGES: rows(columns.RANGES_ROW),
    MANY_FIRST: rows(columns.MANY_FIRST_ROW),
    RECORD_EDGES: words(columns.RECORD_HEAD_WORDS),
    CHUNK_BYTES: columns.CHUNK_EDGES * 2,
  });
});

test('the module imports nothing, and its memory is fixed and holds every area', async (t) => {
  // Node has it; its types are those of a browser.
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: {
      Module: { new (bytes: Uint8Array): object; imports(module: object): readonly object[] };
      Instance: new (
        module: object,
      ) => { exports: Record<string, { value: number } & { buffer: ArrayBuffer; grow(pages: number): void }> };
    };
  };
  const module = new WebAssembly.Module(readFileSync(join(native, 'kernel.wasm')));
  t.same(WebAssembly.Module.imports(module), []);
  const { memory, END_AT } = new WebAssembly.Instance(module).exports;
  if (memory === undefined || END_AT === undefined) throw new Error('missing exports');
  t.ok(END_AT.value <= memory.buffer.byteLength, `${END_AT.value} of ${memory.buffer.byteLength} bytes`);
  t.ok(memory.buffer.byteLength - END_AT.value < 65_536, 'and no page more than needed');
  t.throws(() => memory.grow(1));
});

test('every source of the module is AssemblyScript that is used', (t) => {
  const names = readdirSync(join(native, 'assembly'));
  const imported = names.flatMap((name) =>
    [...readFileSync(join(native, 'assembly', name), 'utf8').matchAll(/from '\.\/([\w-]+)'/g)].map(
      ([, file]) => `${file}.ts`,
    ),
  );
  t.same(
    names.filter((name) => name !== 'kernel.ts' && !imported.includes(name)),
    [],
  );
  t.end();
});

/** Constants of a file that are numbers. */
function numbersOf(name: string): Record<string, number> {
  const source = ts.createSourceFile(
    name,
    readFileSync(join(native, 'assembly', name), 'utf8'),
    ts.ScriptTarget.ESNext,
  );
  const found: Record<string, number> = {};
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name: id, initializer } of statement.declarationList.declarations) {
      if (ts.isIdentifier(id) && initializer !== undefined && ts.isNumericLiteral(initializer)) {
        found[id.text] = Number(initializer.text);
      }
    }
  }
  return found;
}
