// Hot path.
// IP addresses and the networks they lie in. Networks become sorted ranges of numbers when they are published; an address
// on a request is read into four numbers that are used again. IPv4 mapped into IPv6 (::ffff:10.0.0.1) is IPv4 here, in an
// address as in a network; an IPv6 network with a shorter prefix than the /96 of the mapped ones holds no IPv4 address.

/** Sorted ranges that neither overlap nor touch. */
export interface Networks {
  /** First and last address of each range, in turn. */
  readonly ipv4: Uint32Array;
  /** The same, each address as four numbers, the highest first. */
  readonly ipv6: Uint32Array;
}

// The address that was read last, highest part first; of an IPv4 address only the last part counts.
const read = new Uint32Array(4);

const NEITHER = 0;
const IPV4 = 4;
const IPV6 = 6;

const COLON = 0x3a;
const DOT = 0x2e;
const ZERO = 0x30;

/** Whether the text is an address, and of one of the networks. */
export function isInNetworks(text: string, networks: Networks): boolean {
  const kind = readAddress(text);
  if (kind === IPV4) return isInIpv4(networks.ipv4);
  return kind === IPV6 && isInIpv6(networks.ipv6);
}

function isInIpv4(ranges: Uint32Array): boolean {
  const address = read[3] as number;
  let low = 0;
  let high = ranges.length >> 1;
  // The last range that begins at or before the address.
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle * 2] as number) <= address) low = middle + 1;
    else high = middle;
  }
  return low > 0 && address <= (ranges[low * 2 - 1] as number);
}

function isInIpv6(ranges: Uint32Array): boolean {
  let low = 0;
  let high = ranges.length >> 3;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareWithRead(ranges, middle * 8) <= 0) low = middle + 1;
    else high = middle;
  }
  return low > 0 && compareWithRead(ranges, low * 8 - 4) >= 0;
}

/** Below 0 when the address at `offset` is lower than the one read. */
function compareWithRead(ranges: Uint32Array, offset: number): number {
  for (let i = 0; i < 4; i++) {
    const difference = (ranges[offset + i] as number) - (read[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Reads an address; mapped ones are IPv4. No zone, no port, no blank, no zero in front of a decimal number. */
function readAddress(text: string): number {
  // The longest one is 0000:0000:0000:0000:0000:ffff:255.255.255.255.
  if (text.length > 45) return NEITHER;
  if (text.indexOf(':') === -1) return readIpv4(text, 0) ? IPV4 : NEITHER;
  if (!readIpv6(text)) return NEITHER;
  return read[0] === 0 && read[1] === 0 && read[2] === 0xffff ? IPV4 : IPV6;
}

/** Four decimal numbers from `start` to the end, into the last part. */
function readIpv4(text: string, start: number): boolean {
  let address = 0;
  let position = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(position++) !== DOT) return false;
    const first = text.charCodeAt(position) - ZERO;
    if (!(first >= 0 && first <= 9)) return false;
    let value = first;
    position++;
    // After a zero in front nothing may follow.
    while (value !== 0 && position < text.length) {
      const digit = text.charCodeAt(position) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > 255) return false;
      position++;
    }
    address = address * 256 + value;
  }
  read[3] = address;
  return position === text.length;
}

/** Up to eight groups of four hex digits, one run of zero groups as ::, the last two groups perhaps as IPv4. */
function readIpv6(text: string): boolean {
  read.fill(0);
  const length = text.length;
  let groups = 0;
  // Groups in front of the ::, -1 when there is none yet.
  let before = -1;
  let position = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    before = 0;
    position = 2;
  }
  while (position < length) {
    if (groups === 8) return false;
    const end = groupEnd(text, position);
    if (text.charCodeAt(end) === DOT) {
      if (groups > 6 || !readIpv4Tail(text, position, groups)) return false;
      groups += 2;
      break;
    }
    if (end === position) return false;
    putGroup(groups++, hexAt(text, position, end));
    if (end === length) break;
    if (text.charCodeAt(end) !== COLON) return false;
    position = end + 1;
    if (text.charCodeAt(position) === COLON) {
      if (before >= 0) return false;
      before = groups;
      position++;
    } else if (position === length) return false;
  }
  if (before < 0) return groups === 8;
  if (groups > 7) return false;
  moveGroups(before, groups);
  return true;
}

function readIpv4Tail(text: string, start: number, groups: number): boolean {
  // readIpv4 writes the last part, which may hold groups already.
  const last = read[3] as number;
  if (!readIpv4(text, start)) return false;
  const address = read[3] as number;
  read[3] = last;
  putGroup(groups, address >>> 16);
  putGroup(groups + 1, address & 0xffff);
  return true;
}

/** Behind at most four hex digits. */
function groupEnd(text: string, start: number): number {
  let end = start;
  while (end < start + 4 && hexDigit(text.charCodeAt(end)) >= 0) end++;
  return end;
}

function hexAt(text: string, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) value = value * 16 + hexDigit(text.charCodeAt(i));
  return value;
}

/** -1 for what is none, and for NaN, which charCodeAt gives behind the end. */
function hexDigit(unit: number): number {
  if (unit >= ZERO && unit <= 0x39) return unit - ZERO;
  if (unit >= 0x61 && unit <= 0x66) return unit - 0x57;
  return unit >= 0x41 && unit <= 0x46 ? unit - 0x37 : -1;
}

function putGroup(index: number, value: number): void {
  const part = index >> 1;
  const before = read[part] as number;
  read[part] = index % 2 === 0 ? value * 65_536 + (before & 0xffff) : (before & 0xffff_0000) | value;
}

function groupAt(index: number): number {
  const part = read[index >> 1] as number;
  return index % 2 === 0 ? part >>> 16 : part & 0xffff;
}

/** The groups behind the :: go to the end, zeros in their place. */
function moveGroups(before: number, groups: number): void {
  const distance = 8 - groups;
  for (let i = groups - 1; i >= before; i--) putGroup(i + distance, groupAt(i));
  for (let i = before; i < before + distance; i++) putGroup(i, 0);
}

interface Network {
  readonly isIpv4: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** Whether the text is an IPv4 or IPv6 network: an address, a slash and the length of its prefix. */
export function isCidr(text: string): boolean {
  return toNetwork(text) !== undefined;
}

/**
 * Cold: once for each condition that is published.
 * @param texts all of them networks
 */
export function compileNetworks(texts: readonly string[]): Networks {
  const networks = texts.map(toNetwork).filter((network) => network !== undefined);
  return {
    ipv4: pack(networks.filter(({ isIpv4 }) => isIpv4)),
    ipv6: pack(networks.filter(({ isIpv4 }) => !isIpv4)),
  };
}

/** Cold: once for each value that is written. Bits behind the prefix may be set; they do not count. */
function toNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const digits = text.slice(slash + 1);
  const prefix = Number(digits);
  if (slash === -1 || digits.length > 3 || String(prefix) !== digits || !(prefix >= 0)) return undefined;
  const address = text.slice(0, slash);
  const kind = readAddress(address);
  if (kind === IPV6) return prefix <= 128 ? networkOf(false, read, prefix) : undefined;
  if (kind !== IPV4) return undefined;
  if (address.indexOf(':') === -1) return prefix <= 32 ? networkOf(true, read.subarray(3), prefix) : undefined;
  if (prefix > 128) return undefined;
  // A prefix that reaches beyond the mapped addresses is one of IPv6.
  return prefix < 96 ? networkOf(false, read, prefix) : networkOf(true, read.subarray(3), prefix - 96);
}

/** Cold: as above. */
function networkOf(isIpv4: boolean, address: Uint32Array, prefix: number): Network {
  const masks = Array.from(address, (_, i) => {
    const bits = Math.min(Math.max(prefix - i * 32, 0), 32);
    return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  });
  return {
    isIpv4,
    first: masks.map((mask, i) => ((address[i] as number) & mask) >>> 0),
    last: masks.map((mask, i) => ((address[i] as number) | ~mask) >>> 0),
  };
}

/** Cold: once for each condition that is published. Networks overlap only when one holds the other. */
function pack(networks: readonly Network[]): Uint32Array {
  const sorted = networks.toSorted((a, b) => compareParts(a.first, b.first) || compareParts(b.last, a.last));
  const kept: { first: readonly number[]; last: readonly number[] }[] = [];
  for (const { first, last } of sorted) {
    const previous = kept.at(-1);
    if (previous === undefined || compareParts(first, next(previous.last)) > 0) kept.push({ first, last });
    else if (compareParts(last, previous.last) > 0) previous.last = last;
  }
  return Uint32Array.from(kept.flatMap(({ first, last }) => [...first, ...last]));
}

/** Cold: once for each condition that is published. The address behind; the last one of all stays. */
function next(address: readonly number[]): readonly number[] {
  const parts = [...address];
  for (let i = parts.length - 1; i >= 0; i--) {
    if (parts[i] !== 0xffff_ffff) {
      parts[i] = (parts[i] as number) + 1;
      return parts;
    }
    parts[i] = 0;
  }
  return address;
}

/** Cold: once for each condition that is published. */
function compareParts(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((part, i) => part !== b[i]);
  return index === -1 ? 0 : (a[index] as number) - (b[index] as number);
}
