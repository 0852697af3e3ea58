// Hot path.
// SemVer 2.0 versions: whether a text is one, and which of two takes precedence. Numbers are compared as digits, so they
// may be as long as they like; what stands behind a plus (the build) does not count.

const HYPHEN = 0x2d;
const DOT = 0x2e;
const PLUS = 0x2b;
const ZERO = 0x30;
const NINE = 0x39;

export function isSemver(text: string): boolean {
  return precedenceEnd(text) >= 0;
}

/** The text that all versions of the same precedence share; undefined when it is no version. */
export function precedenceText(text: string): string | undefined {
  const end = precedenceEnd(text);
  if (end < 0) return undefined;
  return end === text.length ? text : text.slice(0, end);
}

/** Where the build begins, or the text ends; -1 when it is no version. */
export function precedenceEnd(text: string): number {
  let position = numberEnd(text, 0);
  for (let dots = 0; dots < 2; dots++) {
    if (position < 0 || text.charCodeAt(position) !== DOT) return -1;
    position = numberEnd(text, position + 1);
  }
  if (position < 0) return -1;
  if (text.charCodeAt(position) === HYPHEN) {
    position = identifiersEnd(text, position + 1, true);
    if (position < 0) return -1;
  }
  if (position === text.length) return position;
  if (text.charCodeAt(position) !== PLUS) return -1;
  return identifiersEnd(text, position + 1, false) === text.length ? position : -1;
}

/**
 * Below 0 when `a` comes before `b`, 0 when neither does. Both are versions.
 * @param aEnd their precedenceEnd
 */
export function compareVersions(a: string, aEnd: number, b: string, bEnd: number): number {
  let i = 0;
  let j = 0;
  // Major, minor, patch; then, behind a hyphen, the identifiers of the pre-release.
  for (let part = 0; ; part++) {
    const iEnd = part < 3 ? digitsEnd(a, i) : identifierEnd(a, i, aEnd);
    const jEnd = part < 3 ? digitsEnd(b, j) : identifierEnd(b, j, bEnd);
    const difference = compareIdentifiers(a, i, iEnd, b, j, jEnd);
    if (difference !== 0) return difference;
    if (iEnd === aEnd || jEnd === bEnd) {
      if (iEnd === aEnd && jEnd === bEnd) return 0;
      // A version comes behind its pre-releases, and more identifiers behind fewer.
      const aIsShorter = iEnd === aEnd;
      return aIsShorter === (part === 2) ? 1 : -1;
    }
    i = iEnd + 1;
    j = jEnd + 1;
  }
}

/** Numbers by their value and before words, words in the order of ASCII. */
function compareIdentifiers(a: string, aStart: number, aEnd: number, b: string, bStart: number, bEnd: number): number {
  const aIsNumber = digitsEnd(a, aStart) >= aEnd;
  const bIsNumber = digitsEnd(b, bStart) >= bEnd;
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  const aLength = aEnd - aStart;
  const bLength = bEnd - bStart;
  // Without zeros in front, the longer number is the larger one.
  if (aIsNumber && aLength !== bLength) return aLength - bLength;
  const shared = aLength < bLength ? aLength : bLength;
  for (let k = 0; k < shared; k++) {
    const difference = a.charCodeAt(aStart + k) - b.charCodeAt(bStart + k);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

function digitsEnd(text: string, start: number): number {
  let position = start;
  while (isDigit(text.charCodeAt(position))) position++;
  return position;
}

/** Behind a number without zeros in front; -1 when there is none. */
function numberEnd(text: string, start: number): number {
  const end = digitsEnd(text, start);
  if (end === start || (text.charCodeAt(start) === ZERO && end !== start + 1)) return -1;
  return end;
}

/** Behind identifiers that dots join; -1 when one is empty, or, in a pre-release, a number with a zero in front. */
function identifiersEnd(text: string, start: number, isPrerelease: boolean): number {
  let position = start;
  for (;;) {
    const identifierStart = position;
    while (isIdentifierChar(text.charCodeAt(position))) position++;
    if (position === identifierStart) return -1;
    if (isPrerelease && text.charCodeAt(identifierStart) === ZERO && position !== identifierStart + 1) {
      if (digitsEnd(text, identifierStart) >= position) return -1;
    }
    if (text.charCodeAt(position) !== DOT) return position;
    position++;
  }
}

function identifierEnd(text: string, start: number, end: number): number {
  let position = start;
  while (position < end && text.charCodeAt(position) !== DOT) position++;
  return position;
}

// Behind the end of a text charCodeAt is NaN, which is none of these.
function isDigit(unit: number): boolean {
  return unit >= ZERO && unit <= NINE;
}

function isIdentifierChar(unit: number): boolean {
  return isDigit(unit) || unit === HYPHEN || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
}
