// Addresses of connections in one spelling, whatever a socket or a header calls them: the log and bounds by address
// compare texts.
import { isIP, SocketAddress } from 'node:net';

const MAPPED = '::ffff:';

/** IPv4 as 203.0.113.7, mapped into IPv6 or not; IPv6 as RFC 5952 writes it; undefined when the text is no address. */
export function canonicalAddress(text: string): string | undefined {
  const kind = isIP(text);
  if (kind === 4) return text;
  // A zone names an interface of one machine.
  if (kind === 0 || text.includes('%')) return undefined;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

/** The same of 4 or 16 bytes; empty for any other number of them, which is what a connection that is gone has. */
export function addressFromBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return '';
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16),
  );
  return canonicalAddress(groups.join(':')) ?? '';
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}
