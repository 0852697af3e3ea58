// Loads what a worker is made of, without starting one: for `burgee check`.
import { loadConfig } from '../config.ts';
import { createBatchKernel } from '../kernel/create-batch-kernel.ts';
import { findServerLibrary } from '../run/server-library.ts';

/** What would serve, a few words each. Rejects with what cannot be loaded. */
export async function checkWorkerParts(env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  await import('./main.ts');
  const { transport } = loadConfig(env);
  const { name, lack } = await findServerLibrary(transport);
  if (lack !== undefined && transport === 'uws') throw new Error(lack);
  const { warning } = createBatchKernel();
  const server = name === 'uws' ? 'uWebSockets.js' : "Node.js's own server";
  return [...[server, lack].filter((words) => words !== undefined), warning ?? 'batches in WebAssembly'];
}
