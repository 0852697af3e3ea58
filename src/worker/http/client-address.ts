// Whom a request comes from. The connection's other end may be a proxy that tells in X-Forwarded-For for whom it asks;
// anybody can write that header, so only what a proxy in TRUST_PROXY has added to it is believed.
import { compileNetworks, isInNetworks } from '../../core/network.ts';
import { canonicalAddress } from '../transport/address.ts';
import type { Exchange } from '../transport/transport.ts';

/** What is asked of a request; either kind of exchange has it until it is answered. */
export type Sender = Pick<Exchange, 'remoteAddress'>;

export interface Clients {
  /** Whether it is the address of a proxy in TRUST_PROXY, whose connections are those of many clients. */
  isTrustedProxy(address: string): boolean;
  /**
   * The right-most address that is none of a trusted proxy's, starting with `peer`. `forwardedFor`: the header, repeated
   * ones joined by commas; it may hold anything. Only addresses come out, in their canonical spelling.
   */
  clientOf(peer: string, forwardedFor: string): string;
  /** The same for a request that is not copied yet. */
  ofExchange(exchange: Pick<Exchange, 'remoteAddress' | 'eachHeader'>): string;
}

/** `trusted`: networks, as in Config.trustProxy. */
export function createClients(trusted: readonly string[]): Clients {
  const networks = compileNetworks(trusted);
  const isTrustedProxy = (address: string): boolean => trusted.length > 0 && isInNetworks(address, networks);

  function clientOf(peer: string, forwardedFor: string): string {
    let client = peer;
    let end = forwardedFor.length;
    while (end > 0 && isTrustedProxy(client)) {
      const comma = forwardedFor.lastIndexOf(',', end - 1);
      const named = addressIn(forwardedFor.slice(comma + 1, end));
      // What no proxy would write says nothing, and neither does all that is left of it.
      if (named === undefined) return client;
      client = named;
      end = comma;
    }
    return client;
  }

  return {
    isTrustedProxy,
    clientOf,
    ofExchange(exchange) {
      const peer = exchange.remoteAddress();
      if (!isTrustedProxy(peer)) return peer;
      // A proxy may add a line of its own behind the client's, and `header` would give the client's.
      const lines: string[] = [];
      exchange.eachHeader((name, value) => {
        if (name === 'x-forwarded-for') lines.push(value);
      });
      return clientOf(peer, lines.join(','));
    },
  };
}

/** Some proxies add the port: 203.0.113.7:50123, [2001:db8::7]:50123. */
function addressIn(part: string): string | undefined {
  const text = part.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  return canonicalAddress(bracketed ?? dotted ?? text);
}
