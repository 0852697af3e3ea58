// Hot path.
// RFC 3339 times, read from a text and compared exactly: any number of digits behind the second, any offset, and leap
// seconds, which lie behind 59.999... and before the next minute. Reading makes no objects.

/** A time that others are compared with. */
export interface Moment {
  /** Orders whole seconds: twice the seconds since 1970, and one more for a leap second, which has its predecessor's. */
  readonly rank: number;
  /** The digits behind the second, without zeros at their end. */
  readonly fraction: string;
}

// What the last readDateTime found. One place serves all, as nothing can come between reading and using it.
let readRank = 0;
let readFractionStart = 0;
let readFractionEnd = 0;

/** Whether the text is an RFC 3339 time: date, T, time, and Z or an offset. */
export function isDateTime(text: string): boolean {
  return readDateTime(text);
}

/**
 * The text as a moment; undefined when it is no RFC 3339 time.
 * Cold: once for each value of a condition that is published.
 */
export function toMoment(text: string): Moment | undefined {
  if (!readDateTime(text)) return undefined;
  return { rank: readRank, fraction: text.slice(readFractionStart, readFractionEnd) };
}

/** Below 0 when `a` is earlier than `b`, 0 when both are the same time. */
export function compareMoments(a: Moment, b: Moment): number {
  if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1;
  // Without zeros at the end, the digits of fractions are in the order of their texts.
  if (a.fraction === b.fraction) return 0;
  return a.fraction < b.fraction ? -1 : 1;
}

/** Whether the text is a time before that moment. */
export function isBefore(text: string, moment: Moment): boolean {
  return readDateTime(text) && compareRead(text, moment) < 0;
}

/** Whether the text is a time after that moment. */
export function isAfter(text: string, moment: Moment): boolean {
  return readDateTime(text) && compareRead(text, moment) > 0;
}

function compareRead(text: string, moment: Moment): number {
  if (readRank !== moment.rank) return readRank < moment.rank ? -1 : 1;
  const fraction = moment.fraction;
  const length = readFractionEnd - readFractionStart;
  const shared = length < fraction.length ? length : fraction.length;
  for (let i = 0; i < shared; i++) {
    const difference = text.charCodeAt(readFractionStart + i) - fraction.charCodeAt(i);
    if (difference !== 0) return difference;
  }
  return length - fraction.length;
}

/** 2030-01-31T12:00:00.5+01:00; false when it is none. */
function readDateTime(text: string): boolean {
  const year = digitsAt(text, 0, 4);
  const month = digitsAt(text, 5, 2);
  const day = digitsAt(text, 8, 2);
  const hour = digitsAt(text, 11, 2);
  const minute = digitsAt(text, 14, 2);
  const second = digitsAt(text, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
  if (text.charCodeAt(4) !== HYPHEN || text.charCodeAt(7) !== HYPHEN) return false;
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return false;
  const t = text.charCodeAt(10);
  if (t !== UPPER_T && t !== LOWER_T) return false;
  const end = readFraction(text, 19);
  if (end < 0) return false;
  const offsetMinutes = offsetAt(text, end);
  if (offsetMinutes === NO_OFFSET) return false;
  const minutes = daysSince1970(year, month, day) * 1440 + hour * 60 + minute - offsetMinutes;
  if (second < 60) {
    readRank = (minutes * 60 + second) * 2;
    return true;
  }
  // Leap seconds are put behind the last second of a month, in UTC.
  if (!isLastMinuteOfMonth(minutes)) return false;
  readRank = (minutes * 60 + 59) * 2 + 1;
  return true;
}

const HYPHEN = 0x2d;
const COLON = 0x3a;
const DOT = 0x2e;
const PLUS = 0x2b;
const ZERO = 0x30;
const UPPER_T = 0x54;
const LOWER_T = 0x74;
const UPPER_Z = 0x5a;
const LOWER_Z = 0x7a;

/** No offset is as long as this. */
const NO_OFFSET = 10_000;

/** The number that `count` decimal digits make; -1 when one of them is none. */
function digitsAt(text: string, start: number, count: number): number {
  let value = 0;
  for (let i = start; i < start + count; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    // Behind the end there is NaN, which fails this too.
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Where the digits behind the second end; -1 when a dot has none behind it. */
function readFraction(text: string, start: number): number {
  readFractionStart = start;
  readFractionEnd = start;
  if (text.charCodeAt(start) !== DOT) return start;
  let end = start + 1;
  readFractionStart = end;
  readFractionEnd = end;
  for (; end < text.length; end++) {
    const digit = text.charCodeAt(end) - ZERO;
    if (digit < 0 || digit > 9) break;
    if (digit !== 0) readFractionEnd = end + 1;
  }
  return end === start + 1 ? -1 : end;
}

/** Minutes east of UTC of what stands from `start` to the end; NO_OFFSET when that is no offset. */
function offsetAt(text: string, start: number): number {
  const sign = text.charCodeAt(start);
  if (sign === UPPER_Z || sign === LOWER_Z) return text.length === start + 1 ? 0 : NO_OFFSET;
  if ((sign !== PLUS && sign !== HYPHEN) || text.length !== start + 6) return NO_OFFSET;
  if (text.charCodeAt(start + 3) !== COLON) return NO_OFFSET;
  const hours = digitsAt(text, start + 1, 2);
  const minutes = digitsAt(text, start + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NO_OFFSET;
  return sign === PLUS ? hours * 60 + minutes : -(hours * 60 + minutes);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** In the proleptic Gregorian calendar. Years are counted from March here, so that the leap day is the last one. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const monthFromMarch = month > 2 ? month - 3 : month + 9;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + Math.floor((153 * monthFromMarch + 2) / 5) + day - 1 - 719_468;
}

/** @param minutes since 1970 in UTC */
function isLastMinuteOfMonth(minutes: number): boolean {
  const days = Math.floor(minutes / 1440);
  if (minutes - days * 1440 !== 1439) return false;
  // The next day is the first of a month: found by counting months from the March of year 0.
  const fromMarch = days + 1 + 719_468;
  const dayOfCycle = fromMarch - Math.floor(fromMarch / 146_097) * 146_097;
  const yearOfCycle = Math.floor(
    (dayOfCycle - Math.floor(dayOfCycle / 1460) + Math.floor(dayOfCycle / 36_524) - Math.floor(dayOfCycle / 146_096)) /
      365,
  );
  const dayOfYear = dayOfCycle - (yearOfCycle * 365 + Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  return dayOfYear === Math.floor((153 * monthFromMarch + 2) / 5);
}
