// The text formats that conditions compare: dates, versions, networks, patterns. Here they are only told from nonsense,
// so that a rule that could never match is refused when it is written and not wondered about when it is served.

const DATE_TIME_PATTERN = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](\d\d):(\d\d))$/;

/** RFC 3339: date, T, time, and Z or an offset. Leap seconds are allowed where the RFC has them. */
export function isDateTime(text: string): boolean {
  const match = DATE_TIME_PATTERN.exec(text);
  if (match === null) return false;
  const [year, month, day, hour, minute, second, offsetHour = 0, offsetMinute = 0] = match
    .slice(1)
    .map((digits: string | undefined) => Number(digits ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysInMonth(year, month) &&
    hour <= 23 &&
    minute <= 59 &&
    (second <= 59 || (second === 60 && minute === 59)) &&
    offsetHour <= 23 &&
    offsetMinute <= 59
  );
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

const VERSION_NUMBER = '(?:0|[1-9]\\d*)';
const PRERELEASE_PART = '(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)';
const SEMVER_PATTERN = new RegExp(
  `^${VERSION_NUMBER}\\.${VERSION_NUMBER}\\.${VERSION_NUMBER}` +
    `(?:-${PRERELEASE_PART}(?:\\.${PRERELEASE_PART})*)?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

/** Longer than any version, short enough for the pattern to be quick about it. */
const SEMVER_CHARS_MAX = 256;

/** SemVer 2.0: three numbers, and perhaps a pre-release and a build. */
export function isSemver(text: string): boolean {
  return text.length <= SEMVER_CHARS_MAX && SEMVER_PATTERN.test(text);
}

/** An IPv4 or IPv6 network: an address, a slash and the length of its prefix. Bits behind the prefix may be set. */
export function isCidr(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash === -1) return false;
  const prefix = text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix)) return false;
  const address = text.slice(0, slash);
  if (isIpv4(address)) return Number(prefix) <= 32;
  return isIpv6(address) && Number(prefix) <= 128;
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  // The last 32 bits may be written as IPv4, in place of two groups.
  const last = groups.at(-1) ?? '';
  const hasIpv4Tail = last.includes('.');
  if (hasIpv4Tail && (!isIpv4(last) || text.endsWith('::'))) return false;
  const plain = hasIpv4Tail ? groups.slice(0, -1) : groups;
  if (!plain.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  const count = plain.length + (hasIpv4Tail ? 2 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}

/**
 * Why a pattern is certainly not RE2 syntax; undefined when it may be. It finds the common mistakes only: what RE2
 * leaves out on purpose, and brackets that are not closed.
 */
export function patternProblem(pattern: string): string | undefined {
  let groupDepth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') {
      i++;
      if (i === pattern.length) return 'must not end in a backslash';
      if (/[1-9]/.test(pattern[i] as string)) return 'must not have back references: RE2 syntax has none';
      if (pattern[i] === 'Q') {
        // \Q...\E quotes everything up to \E or the end.
        const end = pattern.indexOf('\\E', i);
        i = end === -1 ? pattern.length : end + 1;
      }
    } else if (char === '[') {
      const end = classEnd(pattern, i);
      if (end === undefined) return 'has a [ without its ]';
      i = end;
    } else if (char === '(') {
      groupDepth++;
      if (/^\(\?<?[=!]/.test(pattern.slice(i, i + 4)))
        return 'must not look ahead or behind: RE2 syntax has no (?= (?! (?<= (?<!';
    } else if (char === ')') {
      groupDepth--;
      if (groupDepth < 0) return 'has a ) without its (';
    }
  }
  return groupDepth === 0 ? undefined : 'has a ( without its )';
}

/** Where the class that opens at `start` ends. A ] right behind the opening is a member, as is one in [:name:]. */
function classEnd(pattern: string, start: number): number | undefined {
  let i = start + 1;
  if (pattern[i] === '^') i++;
  if (pattern[i] === ']') i++;
  for (; i < pattern.length; i++) {
    if (pattern[i] === ']') return i;
    if (pattern[i] === '\\') i++;
    else if (pattern.startsWith('[:', i)) {
      const end = pattern.indexOf(':]', i + 2);
      if (end !== -1) i = end + 1;
    }
  }
  return undefined;
}
