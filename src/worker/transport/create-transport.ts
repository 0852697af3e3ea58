// Which server library answers: the fast one wherever its binary is the one we know and loads, else Node's own.
import type { TransportChoice } from '../../config.ts';
import { loadUws } from './load-uws.ts';
import { createNodeTransport } from './node.ts';
import type { Transport, TransportOptions } from './transport.ts';
import { createUwsTransport } from './uws.ts';

/** Makes a server that does not listen yet. Rejects when the one that was chosen cannot be had. */
export async function createTransport(choice: TransportChoice, options: TransportOptions): Promise<Transport> {
  // What is wrong with the options is not the library's fault, and does not lead to the other one.
  const isUws = choice === 'uws' || (choice === 'auto' && (await canLoadUws()));
  return isUws ? createUwsTransport(options) : createNodeTransport(options);
}

/** Why not is the primary's to say, once for all workers. */
function canLoadUws(): Promise<boolean> {
  return loadUws().then(
    () => true,
    () => false,
  );
}
