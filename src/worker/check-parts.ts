// Loads what a worker is made of, without starting one: for `burgee check`.
import type { TransportChoice } from '../config.ts';
import { createBatchKernel } from '../kernel/create-batch-kernel.ts';
import { loadUws } from './transport/load-uws.ts';

/** What would serve, a few words each. Rejects with what cannot be loaded and has nothing that takes its place. */
export async function checkWorkerParts(transport: TransportChoice): Promise<readonly string[]> {
  await import('./main.ts');
  const { warning } = createBatchKernel();
  return [await serverLibrary(transport), warning ?? 'batches in WebAssembly'];
}

async function serverLibrary(transport: TransportChoice): Promise<string> {
  if (transport === 'node') return "Node.js's own server";
  try {
    await loadUws();
    return 'uWebSockets.js';
  } catch (error) {
    if (transport === 'uws') throw error;
    return `Node.js's own server, which is slower: ${error instanceof Error ? error.message : String(error)}`;
  }
}
