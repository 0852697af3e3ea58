// Compiles native/assembly into native/kernel.wasm, which is committed, and its sha256. `--out FOLDER` writes elsewhere:
// that is how a test sees that the committed file comes from these sources. The compiler's version is exact, and it
// makes the same bytes on every machine.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';

// Fixed: it never grows, so that views of it stay good and no message makes a worker larger. END_AT in
// native/assembly/layout.ts is in the last page.
const PAGES = 169;

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'native') } } });

const files = new Map();
const { error, stderr } = await asc.main(
  [
    'native/assembly/kernel.ts',
    '--outFile',
    'kernel.wasm',
    ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--enable', 'simd', '--noAssert'],
    // Nothing is allocated, nothing imported, and no message is made when something goes wrong: nothing can.
    ...['--runtime', 'stub', '--use', 'abort='],
    ...['--initialMemory', String(PAGES), '--maximumMemory', String(PAGES)],
    // "Exchange of v128 values": between functions of the module only.
    ...['--disableWarning', '112'],
  ],
  {
    readFile: (name) => readSource(join(root, name)),
    writeFile: (name, contents) => files.set(name, contents),
    listFiles: () => [],
  },
);
if (error !== null) {
  console.error(`${stderr}${error.message}`);
  process.exit(1);
}
const wasm = files.get('kernel.wasm');
writeFileSync(join(values.out, 'kernel.wasm'), wasm);
writeFileSync(
  join(values.out, 'kernel.wasm.sha256'),
  `${createHash('sha256').update(wasm).digest('hex')}  kernel.wasm\n`,
);

/** The compiler asks for several names until one is there. */
function readSource(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
