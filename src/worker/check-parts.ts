// Loads what a worker is made of, without starting one: for `burgee check`.
import type { TransportChoice } from '../config.ts';
import { createBatchKernel } from '../kernel/create-batch-kernel.ts';
import { findServerLibrary } from '../run/server-library.ts';

/** What would serve, a few words each. Rejects with what cannot be loaded and has nothing that takes its place. */
export async function checkWorkerParts(transport: TransportChoice): Promise<readonly string[]> {
  await import('./main.ts');
  const { name, lack } = await findServerLibrary(transport);
  if (lack !== undefined && transport === 'uws')
    throw new Error(`${lack} Unset TRANSPORT to serve with Node.js's own server.`);
  const { warning } = createBatchKernel();
  const server = name === 'uws' ? 'uWebSockets.js' : "Node.js's own server, which is slower";
  return [lack === undefined ? server : `${server} (${lack.replace(/\.$/, '')})`, warning ?? 'batches in WebAssembly'];
}
