// Compiles src into dist. `--if-needed` does so only when the sources differ from those dist was made from, which is
// what `npm start` and `npm test` ask for first. Plain JavaScript on purpose: it must run before anything is compiled.
//
// A build goes into a folder of its own beside dist and takes dist's place by rename when it is whole, so that a
// service that runs from dist never sees half a build, and two builds at once cannot write into each other.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
// What the compiled output depends on; web and native are there from later versions on.
const SOURCES = ['src', 'web', 'native', 'package-lock.json', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
const SWAP_ATTEMPTS_MAX = 20;

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) fail(`Burgee needs Node 20.19 or later; this is ${process.version}.`);

const startedAt = performance.now();
const ifNeeded = process.argv.includes('--if-needed');

if (!existsSync(join(root, 'src'))) {
  // A deployed tree: dist came with it, and there is nothing to make it from.
  if (!ifNeeded || !existsSync(join(dist, 'main.js'))) fail('there is no src folder here to build dist from.');
} else {
  const wanted = hashSources();
  if (!ifNeeded || builtHash() !== wanted) build(wanted);
}

function build(wanted) {
  removeAbandoned();
  const made = `${dist}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

  compile(made);
  copyAssets(made);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  writeFileSync(join(made, 'build.json'), `${JSON.stringify({ version, build: wanted.slice(0, 12) })}\n`);
  writeFileSync(join(made, '.build-hash'), `${wanted}\n`);
  takePlace(made, wanted);
  console.log(`built dist (${wanted.slice(0, 12)}) in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** Types are not checked here, so that a first start is quick; `npm run typecheck` does, and CI runs it. */
function compile(outDir) {
  let tsc;
  try {
    tsc = createRequire(import.meta.url).resolve('typescript/lib/tsc.js');
  } catch {
    fail(
      'typescript is not installed (after `npm ci --omit=dev`?). Run `npm ci`, or bring a dist folder that was built ' +
        'from exactly these sources.',
    );
  }
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', outDir, '--noCheck', '--pretty', 'false'];
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status !== 0) fail(`the TypeScript compiler ended with ${result.status ?? result.signal}; see above.`);
}

/** Whatever in src is not TypeScript (a page, a style sheet) goes along as it is. */
function copyAssets(outDir) {
  for (const path of filesBelow('src')) {
    if (!path.endsWith('.ts')) cpSync(join(root, path), join(outDir, path.slice('src/'.length)));
  }
}

/** Another build may do the same at this moment: whoever finds the same sources already built there steps back. */
function takePlace(made, wanted) {
  for (let attempt = 0; attempt < SWAP_ATTEMPTS_MAX; attempt += 1) {
    if (builtHash() === wanted && ifNeeded) return;
    const old = `${dist}.old-${process.pid}-${randomBytes(4).toString('hex')}`;
    tolerate(['ENOENT'], () => renameSync(dist, old));
    const placed = tolerate(['ENOTEMPTY', 'EEXIST', 'EPERM'], () => renameSync(made, dist));
    rmSync(old, { recursive: true, force: true });
    if (placed) return;
  }
  fail(`dist was replaced ${SWAP_ATTEMPTS_MAX} times by other builds; run it again.`);
}

/** Folders of builds that were killed; a build takes seconds, and its folder's name holds its pid. */
function removeAbandoned() {
  for (const name of readdirSync(root)) {
    const pid = /^dist\.(?:new|old)-(\d+)-[0-9a-f]{8}$/.exec(name)?.[1];
    if (pid === undefined) continue;
    if (tolerate(['ESRCH'], () => process.kill(Number(pid), 0))) continue;
    rmSync(join(root, name), { recursive: true, force: true });
  }
}

function builtHash() {
  try {
    return readFileSync(join(dist, '.build-hash'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** SHA-256 over each file's path, length and bytes, in order of path. */
function hashSources() {
  const hash = createHash('sha256');
  for (const path of SOURCES.flatMap(filesBelow)) {
    const bytes = readFileSync(join(root, path));
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

/** Paths relative to the root, sorted; a file is itself, what is not there is nothing. */
function filesBelow(path) {
  let entries;
  try {
    entries = readdirSync(join(root, path), { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path];
    if (error.code === 'ENOENT') return [];
    throw error;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(child);
    return entry.isFile() ? [child] : [];
  });
}

/** True when `action` went through, false when it failed in one of the expected ways. */
function tolerate(codes, action) {
  try {
    action();
    return true;
  } catch (error) {
    if (codes.includes(error.code)) return false;
    throw error;
  }
}

function fail(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}
