// Whether this machine has the address in HOST. Without the look every worker would die on it, again and again.
import { createServer } from 'node:net';
import { ConfigError } from '../config.ts';
import { codeOf } from '../run/run-dir.ts';

// What waiting does not cure; a name server that is away (EAI_AGAIN) may come back while the workers are tried again.
const HOPELESS = new Set(['ENOTFOUND', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

/** Listens on any free port of `host` and stops at once. Throws a ConfigError that names HOST. */
export async function requireAddress(host: string): Promise<void> {
  const server = createServer();
  const failure = await new Promise<Error | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port: 0 }, () => server.close(resolve));
  });
  if (failure === undefined || !HOPELESS.has(codeOf(failure) ?? '')) return;
  throw new ConfigError([
    `HOST ("${host}") is not an address of this machine (${codeOf(failure)}); it must be one, 127.0.0.1 or 0.0.0.0 for instance.`,
  ]);
}
