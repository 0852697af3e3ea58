// A list of ids as text, one a line, as it was sent: where each id lies, or what is wrong with which line.
import { isUtf8 } from 'node:buffer';
import { documentLimits } from '../../core/document-limits.ts';
import type { Issue } from '../../core/model.ts';
import type { IdBytes } from '../../core/pack-ids.ts';

export type IdLines =
  | { readonly ok: true; readonly ids: IdBytes }
  /** The first few lines that are wrong, `path` names each: "line 7". */
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Lines reported at once. Whoever made the list has one mistake in all of them. */
const ISSUES_MAX = 10;
const LF = 10;
const CR = 13;

/**
 * Lines end in LF or CRLF, the last one or not. Line breaks at the end are no lines; an empty line before is a mistake.
 * An id that comes twice is fine.
 * @param idsMax more lines are refused
 */
export function readIdLines(bytes: Uint8Array, idsMax: number): IdLines {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
    return refused([{ path: 'line 1', message: 'must not begin with a byte order mark; send UTF-8 without one' }]);
  const size = sizeWithoutLastBreaks(bytes);
  const lineCount = countLines(bytes, size, idsMax);
  if (lineCount > idsMax) {
    const message = `is one more than the ${idsMax.toLocaleString('en-US')} ids that a list may have`;
    return refused([{ path: `line ${idsMax + 1}`, message }]);
  }
  const starts = new Uint32Array(lineCount);
  const lengths = new Uint16Array(lineCount);
  const isAllUtf8 = isUtf8(bytes);
  const issues: Issue[] = [];
  let at = 0;
  for (let line = 0; line < lineCount; line++) {
    const end = endOfLine(bytes, at, size);
    const idEnd = end < size && end > at && bytes[end - 1] === CR ? end - 1 : end;
    const message = problemOf(bytes, at, idEnd, isAllUtf8);
    if (message === undefined) {
      starts[line] = at;
      lengths[line] = idEnd - at;
    } else if (issues.push({ path: `line ${line + 1}`, message }) === ISSUES_MAX) break;
    at = end + 1;
  }
  return issues.length > 0 ? refused(issues) : { ok: true, ids: { bytes, count: lineCount, starts, lengths } };
}

function refused(issues: readonly Issue[]): IdLines {
  return { ok: false, issues };
}

function sizeWithoutLastBreaks(bytes: Uint8Array): number {
  let size = bytes.length;
  while (size > 0 && (bytes[size - 1] === LF || bytes[size - 1] === CR)) size--;
  return size;
}

/** Stops counting when there are too many. */
function countLines(bytes: Uint8Array, size: number, countMax: number): number {
  let count = size === 0 ? 0 : 1;
  for (let i = 0; i < size && count <= countMax; i++) if (bytes[i] === LF) count++;
  return count;
}

function endOfLine(bytes: Uint8Array, at: number, size: number): number {
  let end = at;
  while (end < size && bytes[end] !== LF) end++;
  return end;
}

function problemOf(bytes: Uint8Array, at: number, end: number, isAllUtf8: boolean): string | undefined {
  const length = end - at;
  if (length === 0) return 'must not be empty: the list has one id a line';
  if (length > documentLimits.userIdBytesMax)
    return `must have at most ${documentLimits.userIdBytesMax} bytes, not ${length}`;
  for (let i = at; i < end; i++) {
    if (bytes[i] === 0) return 'must not contain the character U+0000';
    if (bytes[i] === CR) return 'must not contain a carriage return but before its line feed';
  }
  if (!isAllUtf8 && !isUtf8(bytes.subarray(at, end))) return 'must be UTF-8';
  return undefined;
}
