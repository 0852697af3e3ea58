// Who counts as one client by address: an IPv4 address, or the /64 of an IPv6 address, of which a home or a server has
// at least one whole.

/** The machine itself: a proxy or a load test beside the service. Whoever is on the machine can do worse than connect. */
export function isOwnMachine(address: string): boolean {
  return address === '127.0.0.1' || isOne(address);
}

/** `address` as a transport tells it: IPv4 in dots, IPv6 in any form. */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  return `${words(address).slice(0, 4).join(':')}::/64`;
}

/** ::1, also written out. */
function isOne(address: string): boolean {
  return address.includes(':') && words(address).join(':') === '0:0:0:0:0:0:0:1';
}

/** The eight words of an IPv6 address without leading zeros. */
function words(address: string): string[] {
  const [before = '', after] = (address.split('%')[0] as string).toLowerCase().split('::');
  const head = wordsOf(before);
  const tail = after === undefined ? [] : wordsOf(after);
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail];
}

function wordsOf(part: string): string[] {
  return part === '' ? [] : part.split(':').map((word) => word.replace(/^0+(?=.)/, ''));
}
