// What can serve on this machine: the native library, when its binary is the one we know and this system loads it, else
// Node's own server. The primary asks before it starts workers, for it decides how many of them may share the port.
import { execFile } from 'node:child_process';
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Lines of sha256sum, by file name. From src/ and from dist/ alike this is the repository's folder. */
const SUMS_FILE = fileURLToPath(new URL('../../native/uws.sha256', import.meta.url));
/** A process that only loads a file is done, or hangs. */
const TRIAL_MS_MAX = 10_000;
const TRIAL = 'process.dlopen({ exports: {} }, process.argv[1]); process.exit(0);';

export interface ServerLibrary {
  readonly name: 'uws' | 'node';
  /** Whether several workers may listen on one port. */
  readonly sharesPort: boolean;
  /** Why it is not the native one, though that was wanted; undefined when it is, or was not. */
  readonly lack: string | undefined;
}

/** `choice` as TRANSPORT has it: of `uws` only `lack` tells whether it can be had. Takes about 50 ms. */
export async function findServerLibrary(choice: 'auto' | 'uws' | 'node'): Promise<ServerLibrary> {
  const byNode = sharesPortByNode(process.platform, process.versions.node);
  if (choice === 'node') return { name: 'node', sharesPort: byNode, lack: undefined };
  const lack = await whyNoUws(findUwsBinary);
  if (lack === undefined || choice === 'uws') return { name: 'uws', sharesPort: process.platform === 'linux', lack };
  return { name: 'node', sharesPort: byNode, lack };
}

/**
 * Whether servers of node:http may listen on one port together, each getting its share of the connections: `reusePort`,
 * on Linux from Node 22.12 and 23.1 on.
 */
export function sharesPortByNode(platform: string, version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return platform === 'linux' && (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12));
}

/** The native library's binary for this platform and Node. Throws, with what to do, unless it is the known one. */
export function findUwsBinary(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('uWebSockets.js'));
  const binary = join(folder, `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`);
  checkSum(binary, SUMS_FILE);
  return binary;
}

/**
 * Compares a file with its line in a sha256sum file. Throws when the file cannot be read, has no line there, or
 * differs from it.
 */
export function checkSum(binary: string, sumsFile: string): void {
  const name = basename(binary);
  const line = readFileSync(sumsFile, 'utf8')
    .split('\n')
    .find((candidate) => candidate.slice(64).trim() === name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(binary);
  } catch (cause) {
    throw new Error(
      `uWebSockets.js has no binary for ${process.platform} ${process.arch} and Node ${process.version} (${name}).`,
      { cause },
    );
  }
  if (line === undefined) {
    throw new Error(`${name} is not listed in ${sumsFile}; a binary nobody has checked is not loaded.`);
  }
  const wanted = Buffer.from(line.slice(0, 64), 'hex');
  const found = createHash('sha256').update(bytes).digest();
  if (wanted.length === found.length && timingSafeEqual(wanted, found)) return;
  throw new Error(
    `${binary} has sha256 ${found.toString('hex')}, but ${sumsFile} says ${line.slice(0, 64)}. Install again with "npm ci". ` +
      'If you chose another release of uWebSockets.js on purpose, put the sha256sum lines of its .node files there.',
  );
}

/** undefined: a process of its own has loaded it. A library that is too new for this system fails there, not here. */
export async function whyNoUws(findBinary: () => string): Promise<string | undefined> {
  try {
    return await tryToLoad(findBinary());
  } catch (error) {
    return (error as Error).message;
  }
}

function tryToLoad(binary: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', TRIAL, binary], { timeout: TRIAL_MS_MAX, env: {} }, (error, _stdout, stderr) => {
      const said = /^Error: (.*)$/m.exec(stderr)?.[1] ?? error?.message;
      resolve(error === null ? undefined : `It does not load on this system: ${said}.`);
    });
  });
}
