// Loads the server library only after its binary was found to be the one we know: native code from a package that
// somebody else builds is otherwise whatever the registry hands out that day.
import type * as Uws from 'uWebSockets.js';
import { findUwsBinary } from '../../run/server-library.ts';

/** Checks the binary for this platform and Node, then loads it. Throws with what to do when it is not the known one. */
export async function loadUws(): Promise<typeof Uws> {
  findUwsBinary();
  const loaded = await import('uWebSockets.js');
  return loaded.default as unknown as typeof Uws;
}
