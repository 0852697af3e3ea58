// Hot path.
// Whether a text starts or ends with one of many values. The values are sorted when they are published, and those that
// begin with another of them left out; then only one can be the text's own, and it is found by halving.
import { foldCodePoint, foldText } from './case-folding.ts';

/** Where the comparison begins, and so what a value is: a beginning or an ending. */
export type Side = 'start' | 'end';

/**
 * What startsWithAny and endsWithAny look through.
 * Cold: once for each condition that is published.
 */
export function compileAffixes(values: readonly string[], side: Side, ignoreCase: boolean): readonly string[] {
  const folded = ignoreCase ? values.map(foldText) : values;
  const compare = side === 'start' ? compareStart : compareEnd;
  const sorted = [...new Set(folded)].sort((a, b) => compare(a, b, false) || a.length - b.length);
  const kept: string[] = [];
  for (const value of sorted) {
    const last = kept.at(-1);
    if (last === undefined || compare(last, value, false) !== 0) kept.push(value);
  }
  return kept;
}

export function startsWithAny(text: string, values: readonly string[], ignoreCase: boolean): boolean {
  let low = 0;
  let high = values.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareStart(values[middle] as string, text, ignoreCase);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

export function endsWithAny(text: string, values: readonly string[], ignoreCase: boolean): boolean {
  let low = 0;
  let high = values.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareEnd(values[middle] as string, text, ignoreCase);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}

/** 0 when the text starts with the value; else below 0 when the value comes before all texts like this one. */
function compareStart(value: string, text: string, ignoreCase: boolean): number {
  const valueLength = value.length;
  const textLength = text.length;
  for (let i = 0; i < valueLength; i++) {
    if (i >= textLength) return 1;
    let unit = text.charCodeAt(i);
    if (ignoreCase) unit = foldedUnit(text, i, unit);
    const difference = value.charCodeAt(i) - unit;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The same from the end backwards. */
function compareEnd(value: string, text: string, ignoreCase: boolean): number {
  const valueLength = value.length;
  const textLength = text.length;
  for (let i = 1; i <= valueLength; i++) {
    if (i > textLength) return 1;
    let unit = text.charCodeAt(textLength - i);
    if (ignoreCase) unit = foldedUnit(text, textLength - i, unit);
    const difference = value.charCodeAt(valueLength - i) - unit;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The code unit at `index` of the text as it would be folded: folding changes no code point's number of units. */
function foldedUnit(text: string, index: number, unit: number): number {
  if (unit < 0xd800 || unit > 0xdfff) return foldCodePoint(unit);
  if (unit < 0xdc00) {
    const low = text.charCodeAt(index + 1);
    // Letters of one case share their high surrogate with those of the other, but that is not for ever.
    return low >= 0xdc00 && low <= 0xdfff ? ((foldCodePoint(pairOf(unit, low)) - 0x10000) >> 10) + 0xd800 : unit;
  }
  const high = text.charCodeAt(index - 1);
  return high >= 0xd800 && high <= 0xdbff ? ((foldCodePoint(pairOf(high, unit)) - 0x10000) & 0x3ff) + 0xdc00 : unit;
}

function pairOf(high: number, low: number): number {
  return (high - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000;
}
