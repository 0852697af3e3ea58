// Loads what a worker is made of, without starting one: for `burgee check`.
import { createBatchKernel } from '../kernel/create-batch-kernel.ts';
import { loadUws } from './transport/load-uws.ts';

/** What would serve, a few words each. Rejects with what cannot be loaded. */
export async function checkWorkerParts(): Promise<readonly string[]> {
  await import('./main.ts');
  await loadUws();
  const { warning } = createBatchKernel();
  return ['uWebSockets.js', warning ?? 'batches in WebAssembly'];
}
