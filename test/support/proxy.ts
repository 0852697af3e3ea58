// A network of a test's own: a TCP proxy on a loopback port between a node and a server. It passes, or is silent as a
// network that drops every packet, or refuses; it can be slow, cut what is open, and alter what it passes.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * pass: as if it were not there. silent: connections are taken, and nothing goes through any of them, open ones neither,
 * until it passes again, when all that was held back arrives. refuse: new connections are closed at once.
 */
export type ProxyMode = 'pass' | 'silent' | 'refuse';

export interface TcpProxy {
  readonly port: number;
  /** Bytes that came from clients and from the server since the proxy was started. */
  readonly bytes: { readonly asked: number; readonly answered: number };
  /** Connections through it now. */
  readonly connections: number;
  /** The URL of the server with this proxy in its place. */
  through(url: string): string;
  set(mode: ProxyMode): void;
  /** Each chunk in either direction arrives so much later, in milliseconds. */
  delay(ms: number): void;
  /**
   * Each chunk is altered: every `from` becomes `to`. They are of one length, so that lengths in the protocol hold; a match
   * that is cut by the end of a chunk is missed. No argument: as it is.
   */
  alter(from?: string, to?: string): void;
  /** Ends every connection that is open. */
  cut(): void;
  /** Ends all and gives up the port. */
  close(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  let mode: ProxyMode = 'pass';
  let delayMs = 0;
  let alteration: { readonly from: string; readonly to: string } | undefined;
  const traffic = { asked: 0, answered: 0 };
  const pairs = new Set<readonly [Socket, Socket]>();

  function forward(from: Socket, to: Socket, way: 'asked' | 'answered'): void {
    from.on('data', (chunk: Buffer) => {
      traffic[way] += chunk.length;
      const bytes = altered(chunk);
      if (delayMs === 0) to.write(bytes);
      else setTimeout(() => to.write(bytes), delayMs);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    if (mode === 'silent') from.pause();
  }

  function altered(chunk: Buffer): Buffer {
    if (alteration === undefined || !chunk.includes(alteration.from, 0, 'latin1')) return chunk;
    return Buffer.from(chunk.toString('latin1').replaceAll(alteration.from, alteration.to), 'latin1');
  }

  const server = createServer((client) => {
    client.setNoDelay(true);
    if (mode === 'refuse') return void client.destroy();
    const target = connect(targetPort, '127.0.0.1');
    target.setNoDelay(true);
    const pair = [client, target] as const;
    pairs.add(pair);
    client.on('close', () => pairs.delete(pair));
    forward(client, target, 'asked');
    forward(target, client, 'answered');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    port,
    bytes: traffic,
    get connections() {
      return pairs.size;
    },
    through: (url) => url.replace(`127.0.0.1:${targetPort}`, `127.0.0.1:${port}`),
    set(next) {
      mode = next;
      for (const socket of [...pairs].flat()) {
        if (next === 'silent') socket.pause();
        else socket.resume();
      }
    },
    delay(ms) {
      delayMs = ms;
    },
    alter(from, to) {
      if (from?.length !== to?.length) throw new Error('both are of one length');
      alteration = from === undefined || to === undefined ? undefined : { from, to };
    },
    cut() {
      for (const socket of [...pairs].flat()) socket.destroy();
    },
    async close() {
      for (const socket of [...pairs].flat()) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
