// Times, versions and addresses, read and compared as their specifications put it: no packing, nothing kept, BigInt
// wherever digits may be many. undefined is what is no such text.

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/i;

/**
 * An RFC 3339 time on a line where each minute has 61 places, so that second 60 lies behind any 59.x and before the
 * next minute: [place of the whole second, digits of the fraction].
 */
export function naiveTime(text: string): readonly [bigint, string] | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // Date.UTC takes the year 99 for 1999; setUTCFullYear does not. A day that does not exist comes out as another one.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDay = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (!isDay || hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * (match[8] === '-' ? -1 : 1);
  const minutes = date.getTime() / 60_000 + hour * 60 + minute - offset;
  // A leap second is the last one of a month in UTC.
  const next = new Date((minutes + 1) * 60_000).toISOString();
  if (second === 60 && !next.includes('-01T00:00:')) return undefined;
  return [BigInt(minutes) * 61n + BigInt(second), match[7] ?? ''];
}

export function compareTimes(a: readonly [bigint, string], b: readonly [bigint, string]): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  const digits = Math.max(a[1].length, b[1].length);
  return compare(a[1].padEnd(digits, '0'), b[1].padEnd(digits, '0'));
}

export interface NaiveVersion {
  readonly numbers: readonly bigint[];
  readonly prerelease: readonly string[];
}

// The pattern that semver.org gives, with its capturing groups.
const VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$/;

export function naiveVersion(text: string): NaiveVersion | undefined {
  const match = VERSION.exec(text);
  if (match === null) return undefined;
  return { numbers: match.slice(1, 4).map(BigInt), prerelease: match[4]?.split('.') ?? [] };
}

/** Precedence, SemVer 2.0 clause 11; the build does not count. */
export function compareVersions(a: NaiveVersion, b: NaiveVersion): number {
  for (const [i, number] of a.numbers.entries()) {
    const order = compare(number, b.numbers[i] as bigint);
    if (order !== 0) return order;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Number(b.prerelease.length > 0) - Number(a.prerelease.length > 0);
  }
  for (const [i, part] of a.prerelease.entries()) {
    const other = b.prerelease[i];
    if (other === undefined) return 1;
    const order = comparePrereleaseParts(part, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length < b.prerelease.length ? -1 : 0;
}

function comparePrereleaseParts(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber && bIsNumber) return compare(BigInt(a), BigInt(b));
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return compare(a, b);
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export interface NaiveAddress {
  readonly bits: 32 | 128;
  readonly number: bigint;
}

const MAPPED = 0xffffn;

/** IPv4 or IPv6; an IPv4-mapped one is the IPv4 address in it. */
export function naiveAddress(text: string): NaiveAddress | undefined {
  const address = rawAddress(text);
  if (address?.bits === 128 && address.number >> 32n === MAPPED) {
    return { bits: 32, number: address.number & 0xffff_ffffn };
  }
  return address;
}

/** Whether the address lies in `network/prefix`; a mapped network is the IPv4 one in it. */
export function isInNetwork(address: NaiveAddress, network: string): boolean {
  const [base = '', prefixText = ''] = network.split('/');
  const raw = rawAddress(base);
  if (raw === undefined) return false;
  let prefix = Number(prefixText);
  let { bits, number } = raw;
  if (bits === 128 && number >> 32n === MAPPED && prefix >= 96) {
    bits = 32;
    number &= 0xffff_ffffn;
    prefix -= 96;
  }
  const free = BigInt(bits - prefix);
  return address.bits === bits && address.number >> free === number >> free;
}

function rawAddress(text: string): NaiveAddress | undefined {
  if (!text.includes(':')) {
    const number = ipv4Number(text);
    return number === undefined ? undefined : { bits: 32, number };
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  // An IPv4 part may only stand at the very end.
  if (halves.length === 2 && halves[0]?.includes('.')) return undefined;
  const given = head.length + (tail?.length ?? 0);
  const missing = 8 - given;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<bigint>(missing).fill(0n), ...(tail ?? [])];
  return { bits: 128, number: groups.reduce((number, group) => (number << 16n) | group, 0n) };
}

/** The 16-bit groups of one side of "::"; undefined when one of them is none. */
function groupsOf(side: string): readonly bigint[] | undefined {
  if (side === '') return [];
  const parts = side.split(':');
  const groups: bigint[] = [];
  for (const [i, part] of parts.entries()) {
    const ipv4 = i === parts.length - 1 ? ipv4Number(part) : undefined;
    if (ipv4 !== undefined) groups.push(ipv4 >> 16n, ipv4 & 0xffffn);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}

function ipv4Number(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((number, part) => (number << 8n) | BigInt(part), 0n);
}
