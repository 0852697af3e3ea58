// The loader that run-typescript.mjs registers. What a file became is kept by its content: to load the compiler takes half
// a second of CPU, in each process anew.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

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
