// Hot path.
// Looks at the bytes of a JSON body without parsing it. All bytes that matter are ASCII, which no UTF-8 sequence
// contains, so that bytes can be read one by one.
import type { AttributesMember } from '../../api/routes.ts';
import { exactNumber } from './exact-number.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** A number of at most this many digits, and no exponent, is a double's exactly. */
const DIGITS_SURELY_EXACT = 15;

export interface JsonScan {
  readonly isTooDeep: boolean;
  /** Whether there may be a number that no double has exactly. */
  readonly hasLongNumber: boolean;
  /** Members of the object that the outermost one has under `member`: the attributes of a single context; else 0. */
  readonly attributeCount: number;
}

/** Any bytes will do. Stops where they are nested deeper than `levelsMax`. `member` undefined: no attributes are counted. */
export function scanJson(bytes: Uint8Array, levelsMax: number, member?: AttributesMember): JsonScan {
  let depth = 0;
  let hasLongNumber = false;
  let attributeCount = 0;
  let isCounting = false;
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) {
      i = stringEnd(bytes, i);
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
      if (depth > levelsMax) return { isTooDeep: true, hasLongNumber, attributeCount };
      if (depth === 2 && member !== undefined) isCounting = isNamed(bytes, i, member);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth -= 1;
    else if (byte === COLON) {
      if (depth === 2 && isCounting) attributeCount += 1;
    } else if (isDigit(byte) && !hasLongNumber) {
      const end = numberEnd(bytes, i);
      hasLongNumber = !isSurelyExact(bytes, i, end);
      i = end;
      continue;
    }
    i += 1;
  }
  return { isTooDeep: false, hasLongNumber, attributeCount };
}

/** Whether the value that begins at `at` stands under this name, written without escapes. */
function isNamed(bytes: Uint8Array, at: number, name: string): boolean {
  let i = beforeSpaces(bytes, at - 1);
  if (bytes[i] !== COLON) return false;
  i = beforeSpaces(bytes, i - 1);
  if (bytes[i] !== QUOTE || bytes[i - name.length - 1] !== QUOTE) return false;
  for (let k = 0; k < name.length; k += 1) if (bytes[i - name.length + k] !== name.charCodeAt(k)) return false;
  return true;
}

function beforeSpaces(bytes: Uint8Array, from: number): number {
  let i = from;
  while (i >= 0 && isSpace(bytes[i] as number)) i -= 1;
  return i;
}

/**
 * The body with each number in its attributes that no double has exactly as a string; undefined when there is none.
 * @param bytes valid JSON
 * @param member what the attributes stand under, at any level; undefined: the whole is attributes
 */
export function quoteInexact(bytes: Uint8Array, member: AttributesMember | undefined): Uint8Array | undefined {
  /** Where each such number begins and ends, in turn. */
  const cuts: number[] = [];
  let depth = 0;
  /** Levels around and of the object whose members are attributes; 0: outside of one. */
  let inside = 0;
  let text: readonly [from: number, to: number] = [0, 0];
  let name = text;
  let previous = 0;
  let i = 0;
  while (i < bytes.length) {
    const byte = bytes[i] as number;
    let next = i + 1;
    if (byte === QUOTE) {
      next = stringEnd(bytes, i);
      text = [i, next];
    } else if (byte === COLON) name = text;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      depth += 1;
      if (inside === 0 && byte === OPEN_OBJECT && (member === undefined || isUnder(bytes, previous, name, member)))
        inside = depth;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === inside) inside = 0;
      depth -= 1;
    } else if (byte === MINUS || isDigit(byte)) {
      next = numberEnd(bytes, i);
      const isKey = member === 'context' && depth === inside && textOf(bytes, name) === 'targetingKey';
      if (inside > 0 && !isKey && !isExact(bytes, i, next)) {
        cuts.push(i, next);
      }
    }
    if (!isSpace(byte)) previous = byte;
    i = next;
  }
  return cuts.length === 0 ? undefined : withQuotes(bytes, cuts);
}

const MINUS = 0x2d;

/** Whether what follows the byte `previous` is the value of the member whose name stands at `name`. */
function isUnder(
  bytes: Uint8Array,
  previous: number,
  name: readonly [from: number, to: number],
  member: AttributesMember,
): boolean {
  return previous === COLON && textOf(bytes, name) === member;
}

/** A copy of the bytes with a quote at each of these places. */
function withQuotes(bytes: Uint8Array, places: readonly number[]): Uint8Array {
  const quoted = new Uint8Array(bytes.length + places.length);
  let to = 0;
  let next = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    if (places[next] === from) {
      quoted[to++] = QUOTE;
      next += 1;
    }
    quoted[to++] = bytes[from] as number;
  }
  return quoted;
}

/** Behind the string that begins at `from`; the end of the bytes when it does not end. */
function stringEnd(bytes: Uint8Array, from: number): number {
  let i = from + 1;
  while (i < bytes.length) {
    const byte = bytes[i];
    if (byte === QUOTE) return i + 1;
    i += byte === BACKSLASH ? 2 : 1;
  }
  return bytes.length;
}

/** Behind the last byte that can belong to the number that begins at `from`. */
function numberEnd(bytes: Uint8Array, from: number): number {
  let i = from + 1;
  while (i < bytes.length && isOfNumber(bytes[i] as number)) i += 1;
  return i;
}

function isExact(bytes: Uint8Array, from: number, to: number): boolean {
  if (isSurelyExact(bytes, from, to)) return true;
  return isPlainlyExact(bytes, from, to) ?? exactNumber(asciiOf(bytes, from, to)) !== undefined;
}

/** No double is told in more digits than this, and each of at most so many is a double's: IEEE 754, away from its ends. */
const DIGITS_MAX = 17;
const DIGITS_OF_ANY = 15;
const POWER_OF_ANY = 290;
/** Of the first digit: above, and as far below, every number is infinite or 0. */
const POWER_MAX = 330;

/**
 * Whether a double has exactly the JSON number that stands there, as far as its digits and its power of ten tell without
 * making a string of it, which takes a microsecond, and a message may have 160,000 numbers; undefined: they do not.
 */
export function isPlainlyExact(bytes: Uint8Array, from: number, to: number): boolean | undefined {
  /** From the first digit that is not 0 on, and of these up to the last one that is not. */
  let digits = 0;
  let significant = 0;
  /** Of ten, that the first of them stands for. */
  let power = 0;
  let isFraction = false;
  let i = from;
  for (; i < to; i += 1) {
    const byte = bytes[i] as number;
    if ((byte | 0x20) === LOWER_E) break;
    if (byte === POINT) isFraction = true;
    if (!isDigit(byte)) continue;
    if (digits > 0 || byte !== ZERO) {
      digits += 1;
      if (byte !== ZERO) significant = digits;
      if (!isFraction && digits > 1) power += 1;
    }
    if (isFraction && (digits === 0 || (digits === 1 && power <= 0 && byte !== ZERO))) power -= 1;
  }
  if (significant === 0) return true;
  if (significant > DIGITS_MAX) return false;
  let exponent = 0;
  let isNegative = false;
  for (i += 1; i < to; i += 1) {
    const byte = bytes[i] as number;
    if (byte === MINUS) isNegative = true;
    // Large enough to tell, and not to be lost among the digits of a message.
    if (isDigit(byte)) exponent = Math.min(exponent * 10 + byte - ZERO, 1e9);
  }
  const first = power + (isNegative ? -exponent : exponent);
  if (first > POWER_MAX || first < -POWER_MAX) return false;
  return significant <= DIGITS_OF_ANY && Math.abs(first) <= POWER_OF_ANY ? true : undefined;
}

const ZERO = 0x30;
const POINT = 0x2e;

function isSurelyExact(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from > DIGITS_SURELY_EXACT) return false;
  for (let i = from; i < to; i += 1) if (((bytes[i] as number) | 0x20) === LOWER_E) return false;
  return true;
}

const LOWER_E = 0x65;

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Digits, + - . e E. */
function isOfNumber(byte: number): boolean {
  return isDigit(byte) || byte === 0x2e || byte === MINUS || byte === 0x2b || (byte | 0x20) === LOWER_E;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function textOf(bytes: Uint8Array, [from, to]: readonly [number, number]): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8'));
}

function asciiOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
}
