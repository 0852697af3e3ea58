// Which server library answers: the fast one wherever its binary loads.
import type { Transport, TransportOptions } from './transport.ts';
import { createUwsTransport } from './uws.ts';

/** Makes a server that does not listen yet. */
export function createTransport(options: TransportOptions): Promise<Transport> {
  return createUwsTransport(options);
}
