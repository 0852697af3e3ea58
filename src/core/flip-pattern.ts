// A text that a pattern matches, for suggesting one. Simple patterns only: whoever asks tries the text before it is
// believed, so that whatever is not understood here costs a suggestion and nothing else.

/** Longer texts are no suggestion. */
const TEXT_CHARS_MAX = 256;

/** Tried for classes that say what they do not hold. */
const COMMON_CHARACTERS = 'a0-_ A.@/~';

type Range = readonly [low: string, high: string];

const CLASSES: Readonly<Record<string, readonly Range[]>> = {
  d: [['0', '9']],
  w: [
    ['a', 'z'],
    ['A', 'Z'],
    ['0', '9'],
    ['_', '_'],
  ],
  s: [
    [' ', ' '],
    ['\t', '\r'],
  ],
};
const NAMED_CLASSES: Readonly<Record<string, readonly Range[]>> = {
  alpha: [
    ['a', 'z'],
    ['A', 'Z'],
  ],
  alnum: [
    ['a', 'z'],
    ['A', 'Z'],
    ['0', '9'],
  ],
  digit: [['0', '9']],
  lower: [['a', 'z']],
  upper: [['A', 'Z']],
  space: [[' ', ' ']],
  punct: [['!', '/']],
  xdigit: [
    ['0', '9'],
    ['a', 'f'],
    ['A', 'F'],
  ],
  word: [
    ['a', 'z'],
    ['A', 'Z'],
    ['0', '9'],
    ['_', '_'],
  ],
};
const CONTROLS: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f', v: '\v' };

/** Reads on from `at`. */
interface Cursor {
  readonly pattern: string;
  at: number;
}

/** A short text that the pattern probably matches; undefined when none comes to mind. */
export function sampleOf(pattern: string): string | undefined {
  const cursor: Cursor = { pattern, at: 0 };
  const text = readAlternatives(cursor);
  return cursor.at === pattern.length && text !== undefined && text.length <= TEXT_CHARS_MAX ? text : undefined;
}

/** Up to the end or the closing parenthesis; the first alternative that there is a text for. */
function readAlternatives(cursor: Cursor): string | undefined {
  let found: string | undefined;
  for (;;) {
    const text = readSequence(cursor);
    found ??= text;
    if (cursor.pattern[cursor.at] !== '|') return found;
    cursor.at++;
  }
}

function readSequence(cursor: Cursor): string | undefined {
  let text: string | undefined = '';
  while (cursor.at < cursor.pattern.length && cursor.pattern[cursor.at] !== '|' && cursor.pattern[cursor.at] !== ')') {
    const atom = readAtom(cursor);
    const [least, most] = readRepeat(cursor);
    // What may be left out is, unless nothing would be left to see: `.*` alone.
    const count = most === 0 ? 0 : least;
    if (count === 0) continue;
    const next: string | undefined = atom?.repeat(Math.min(count, TEXT_CHARS_MAX + 1));
    text =
      text === undefined || next === undefined || text.length + next.length > TEXT_CHARS_MAX ? undefined : text + next;
  }
  return text;
}

/** How often the atom before may stand: [least, most]. */
function readRepeat(cursor: Cursor): readonly [least: number, most: number] {
  const { pattern } = cursor;
  const counted = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(pattern.slice(cursor.at, cursor.at + 12));
  let repeat: readonly [number, number] = [1, 1];
  if (counted !== null) {
    cursor.at += counted[0].length;
    const least = Number(counted[1]);
    repeat = [
      least,
      counted[2] === undefined ? least : Number(counted[3] === '' ? Number.POSITIVE_INFINITY : counted[3]),
    ];
  } else if (pattern[cursor.at] === '*' || pattern[cursor.at] === '?') {
    cursor.at++;
    repeat = [0, 1];
  } else if (pattern[cursor.at] === '+') {
    cursor.at++;
  } else return repeat;
  if (pattern[cursor.at] === '?') cursor.at++;
  return repeat;
}

function readAtom(cursor: Cursor): string | undefined {
  const char = String.fromCodePoint(cursor.pattern.codePointAt(cursor.at) as number);
  cursor.at += char.length;
  switch (char) {
    case '^':
    case '$':
      return '';
    case '.':
      return 'a';
    case '(':
      return readGroup(cursor);
    case '[':
      return readClass(cursor);
    case '\\':
      return readEscape(cursor);
    default:
      return char;
  }
}

function readGroup(cursor: Cursor): string | undefined {
  const opening = /^\?(?:P?<\w+>|[imsU-]*(:?))/.exec(cursor.pattern.slice(cursor.at, cursor.at + 64));
  if (opening !== null) {
    cursor.at += opening[0].length;
    // (?i) is no group: it changes what follows.
    if (cursor.pattern[cursor.at] === ')' && opening[1] === '') {
      cursor.at++;
      return '';
    }
  }
  const text = readAlternatives(cursor);
  if (cursor.pattern[cursor.at] !== ')') return undefined;
  cursor.at++;
  return text;
}

function readEscape(cursor: Cursor): string | undefined {
  const { pattern } = cursor;
  const char = pattern[cursor.at];
  if (char === undefined) return undefined;
  cursor.at++;
  if (char === 'Q') {
    const end = pattern.indexOf('\\E', cursor.at);
    const text = pattern.slice(cursor.at, end === -1 ? pattern.length : end);
    cursor.at = end === -1 ? pattern.length : end + 2;
    return text;
  }
  if (char === 'b' || char === 'A' || char === 'z') return '';
  if (char === 'x') {
    const hex = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(pattern.slice(cursor.at, cursor.at + 8));
    const code = Number.parseInt(hex?.[1] ?? hex?.[2] ?? '', 16);
    if (hex === null || !(code <= 0x10ffff)) return undefined;
    cursor.at += hex[0].length;
    return String.fromCodePoint(code);
  }
  const known = CLASSES[char.toLowerCase()];
  if (known !== undefined) return char === char.toLowerCase() ? known[0]?.[0] : outside(known);
  if (/\w/.test(char)) return CONTROLS[char];
  return char;
}

function outside(ranges: readonly Range[]): string | undefined {
  return [...COMMON_CHARACTERS].find((char) => !ranges.some(([low, high]) => low <= char && char <= high));
}

function readClass(cursor: Cursor): string | undefined {
  const { pattern } = cursor;
  const isNegated = pattern[cursor.at] === '^';
  if (isNegated) cursor.at++;
  const ranges: Range[] = [];
  let isFirst = true;
  while (isFirst || pattern[cursor.at] !== ']') {
    if (cursor.at >= pattern.length) return undefined;
    isFirst = false;
    const named = /^\[:(\w+):\]/.exec(pattern.slice(cursor.at, cursor.at + 16));
    if (named !== null) {
      cursor.at += named[0].length;
      ranges.push(...(NAMED_CLASSES[named[1] ?? ''] ?? []));
      continue;
    }
    const isEscape = pattern[cursor.at] === '\\';
    // What a class says it does not hold, and then holds, is left to others.
    if (isEscape && /[DSW]/.test(pattern[cursor.at + 1] ?? '')) return undefined;
    const group = isEscape ? CLASSES[pattern[cursor.at + 1] ?? ''] : undefined;
    const low = readMember(cursor);
    if (low === undefined) return undefined;
    if (group !== undefined) {
      ranges.push(...group);
      continue;
    }
    const isRange = pattern[cursor.at] === '-' && pattern[cursor.at + 1] !== ']';
    if (isRange) cursor.at++;
    const high = isRange ? readMember(cursor) : low;
    if (high === undefined) return undefined;
    ranges.push([low, high]);
  }
  cursor.at++;
  return isNegated ? outside(ranges) : ranges[0]?.[0];
}

function readMember(cursor: Cursor): string | undefined {
  const char = String.fromCodePoint(cursor.pattern.codePointAt(cursor.at) ?? 0);
  cursor.at += char.length;
  return char === '\\' ? readEscape(cursor) : char;
}
