// What the system knows of this process and its connections, where it is Linux; elsewhere nothing.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { addressGroup } from './address-group.ts';

/** Lines that are read before the loop is given away: about a millisecond. */
const LINES_AT_ONCE = 2000;
const HEX = /^[0-9A-F]+$/;
/** Of /proc/net/tcp: open, and open with a client that has said its last word. */
const OPEN_STATES: ReadonlySet<string> = new Set(['01', '08']);

/** How many files this process may have open; undefined where that cannot be read. */
export function openFilesMax(path = '/proc/self/limits'): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const found = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1];
  return found === undefined || found === 'unlimited' ? undefined : Number(found);
}

/**
 * Connections of this machine (of its network namespace) to `port`, of all processes, by the group of the address at the
 * other end. Empty where the system does not tell.
 */
export async function countByAddress(port: number, folder = '/proc/self/net'): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const name of ['tcp', 'tcp6']) {
    const text = await readFile(`${folder}/${name}`, 'latin1').catch(() => '');
    const lines = text.split('\n');
    for (let from = 1; from < lines.length; from += LINES_AT_ONCE) {
      countLines(lines.slice(from, from + LINES_AT_ONCE), port, counts);
      await new Promise(setImmediate);
    }
  }
  return counts;
}

/** `  12: 0100007F:1F40 0200007F:D431 01 ...` */
function countLines(lines: readonly string[], port: number, counts: Map<string, number>): void {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of lines) {
    const [, local = '', remote = '', state = ''] = line.trimStart().split(' ', 4);
    if (!local.endsWith(ending) || !OPEN_STATES.has(state)) continue;
    const address = readAddress(remote.slice(0, remote.indexOf(':')));
    if (address === undefined) continue;
    const group = addressGroup(address);
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
}

/** An address as the kernel prints it: words of four bytes, each the other way round. Mapped ones count as IPv4. */
function readAddress(hex: string): string | undefined {
  if (!HEX.test(hex) || (hex.length !== 8 && hex.length !== 32)) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.subarray(0, 12).equals(MAPPED)) return bytes.subarray(12).join('.');
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
