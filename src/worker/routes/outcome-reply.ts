// Hot path.
// The text of an evaluation: what was made when the snapshot was published, with the user and the time put in.
import type { Outcome } from '../../core/compiled.ts';

let isoAtMs = Number.NaN;
let iso = '';

/** RFC 3339 in UTC; made once a millisecond. */
export function isoTime(nowMs: number): string {
  if (nowMs !== isoAtMs) {
    isoAtMs = nowMs;
    iso = new Date(nowMs).toISOString();
  }
  return iso;
}

/** A string as JSON. Most user ids are plain ASCII, which only wants quotes. */
export function jsonString(text: string): string {
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return JSON.stringify(text);
  }
  return `"${text}"`;
}

/** The whole reply of one evaluation. `tail`: the snapshot's revision and the closing brace. */
export function outcomeReply(outcome: Outcome, userId: string, nowMs: number, tail: string): string {
  return outcome.replyHead + jsonString(userId) + ',"evaluated_at":"' + isoTime(nowMs) + outcome.replyTail + tail;
}
