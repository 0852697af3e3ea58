// Loads the server library only after its binary was found to be the one we know: native code from a package that
// somebody else builds is otherwise whatever the registry hands out that day.

import type * as Uws from 'uWebSockets.js';
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Lines of sha256sum, by file name. From src/ and from dist/ alike this is the repository's folder. */
const SUMS_FILE = fileURLToPath(new URL('../../../native/uws.sha256', import.meta.url));

/** Checks the binary for this platform and Node, then loads it. Throws with what to do when it is not the known one. */
export async function loadUws(): Promise<typeof Uws> {
  const folder = dirname(createRequire(import.meta.url).resolve('uWebSockets.js'));
  const binary = join(folder, `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`);
  checkSum(binary, SUMS_FILE);
  const loaded = await import('uWebSockets.js');
  return loaded.default as unknown as typeof Uws;
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
