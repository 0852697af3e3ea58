// What a person who typed `npm start` reads: where the service is, the first key, and a line that works as printed.
import { relative } from 'node:path';
import type { Config } from '../config.ts';

export interface Greeting {
  readonly url: string;
  /** The first key, when it is to be shown; undefined when there was one before, or the operator gave it. */
  readonly shownKey: string | undefined;
  /** A file that holds the first key; undefined when there is none. */
  readonly keyFile: string | undefined;
  readonly workers: number;
}

export function greet(greeting: Greeting): string {
  const { url, shownKey, keyFile } = greeting;
  const key = shownKey ?? (keyFile === undefined ? 'YOUR_KEY' : `$(cat ${shellWord(shortest(keyFile))})`);
  const lines = [
    '',
    `Burgee answers at ${url} with ${greeting.workers} worker${greeting.workers === 1 ? '' : 's'}; API reference: ${url}/docs`,
  ];
  if (shownKey !== undefined) lines.push(`Admin key, shown only now: ${shownKey}`);
  else if (keyFile !== undefined) lines.push(`Admin key: in ${keyFile} (readable by you only)`);
  else lines.push('No key at hand? `node dist/main.js keys create` makes an admin key, also while the service runs.');
  // A certificate names the service as its clients call it, never this machine's own addresses.
  const curl = url.startsWith('https:') ? 'curl -sk' : 'curl -s';
  lines.push(
    'Make a flag that is on for a quarter of the users, then ask for one user:',
    `  ${curl} -X POST ${url}/api/v1/flags -H "X-API-Key: ${key}" -H "Content-Type: application/json" -d '{"flag_id":"hello","enabled":true,"rollout_percentage":25}'`,
    `  ${curl} "${url}/api/v1/flags/hello/evaluate?user_id=user-1" -H "X-API-Key: ${key}"`,
    '',
  );
  return `${lines.join('\n')}\n`;
}

/** The address a client on this machine uses: nobody can call 0.0.0.0. */
export function localUrl({ host, port, tlsCertFile }: Pick<Config, 'host' | 'port' | 'tlsCertFile'>): string {
  const reachable =
    host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  return `${tlsCertFile === undefined ? 'http' : 'https'}://${reachable}:${port}`;
}

function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

function shellWord(path: string): string {
  return /^[A-Za-z0-9._/-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
