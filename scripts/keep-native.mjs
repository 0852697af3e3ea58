// Removes the server library's binaries of all platforms but one: they are 250 MB, and a deployed tree loads one of 7.
// The one that stays must be as `native/uws.sha256` says.
//
//   node scripts/keep-native.mjs [linux_x64_137]      platform, architecture, ABI; default: of the Node that runs this
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const BINARY = /^uws_.*\.node$/;

const wanted = `uws_${process.argv[2] ?? `${process.platform}_${process.arch}_${process.versions.modules}`}.node`;
const folder = dirname(createRequire(import.meta.url).resolve('uWebSockets.js'));
const binaries = readdirSync(folder).filter((name) => BINARY.test(name));
if (!binaries.includes(wanted)) fail(`${folder} has no ${wanted}`);
const found = createHash('sha256')
  .update(readFileSync(join(folder, wanted)))
  .digest('hex');
const sums = readFileSync(new URL('../native/uws.sha256', import.meta.url), 'utf8').split('\n');
if (!sums.includes(`${found}  ${wanted}`))
  fail(`${wanted} has sha256 ${found}, which native/uws.sha256 does not list for it`);

let bytes = 0;
for (const name of binaries) {
  if (name === wanted) continue;
  bytes += statSync(join(folder, name)).size;
  rmSync(join(folder, name));
}
console.log(`kept ${wanted}, removed ${binaries.length - 1} binaries (${Math.round(bytes / 1e6)} MB)`);

function fail(message) {
  console.error(`keep-native: ${message}`);
  process.exit(1);
}
