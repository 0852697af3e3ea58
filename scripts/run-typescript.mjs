// Lets plain `node` run TypeScript files, by erasing their types as they are loaded:
//   node --import ./scripts/run-typescript.mjs chaos/faults.ts
// Node does this itself from 22.18 on; 20 is our oldest. Types are checked by `npm run typecheck`, not here.
// What a file became is kept by its content: loading the compiler takes half a second of CPU, each process anew.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) register(import.meta.url);

const OPTIONS = { module: 'esnext', target: 'es2023', verbatimModuleSyntax: true, inlineSourceMap: true };
const cacheFolder = new URL('../node_modules/.cache/burgee-typescript/', import.meta.url);
const compilerPackage = new URL('../node_modules/typescript/package.json', import.meta.url);

let typescript;
let prefix;

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const text = readFileSync(path, 'utf8');
  prefix ??= `${JSON.parse(readFileSync(compilerPackage, 'utf8')).version} ${JSON.stringify(OPTIONS)}`;
  const key = createHash('sha256')
    .update(`${prefix} ${basename(path)}\n${text}`)
    .digest('hex');
  const kept = new URL(`${key}.js`, cacheFolder);
  const source = read(kept) ?? (await compile(path, text, kept));
  return { format: 'module', source, shortCircuit: true };
}

function read(kept) {
  try {
    return readFileSync(kept, 'utf8');
  } catch {
    return undefined;
  }
}

async function compile(path, text, kept) {
  typescript ??= (await import('typescript')).default;
  const { outputText } = typescript.transpileModule(text, { fileName: path, compilerOptions: OPTIONS });
  try {
    mkdirSync(cacheFolder, { recursive: true });
    // Whole or not at all: other processes look for it meanwhile.
    const half = new URL(`${kept.href}.${process.pid}`);
    writeFileSync(half, outputText);
    renameSync(half, kept);
  } catch {
    // A folder that cannot be written to only makes the next process slower.
  }
  return outputText;
}
