// What the clients of a worker have not taken of its HTTP replies, all together: one slow reader is nothing, thousands
// of them are the worker's memory. Who takes nothing, or next to nothing, is cut, and when it is too much for all the
// ones that have waited longest are.
import { limits } from '../../limits.ts';

const LOOK_MS = 1000;

/** A reply of which something is unsent. */
export interface UnreadReply {
  /** Whether its client has to take it at some speed. Not so a stream, whose end is not known. */
  readonly isPaced: boolean;
  /** Cuts the connection. */
  cut(): void;
}

interface Kept {
  unsentBytes: number;
  /** What there was at first, and when. */
  readonly firstBytes: number;
  readonly firstMs: number;
  progressMs: number;
}

export class UnreadReplies {
  /** Of all replies. */
  bytes = 0;
  /** Replies that were cut, since the start. */
  cutCount = 0;
  /** In the order of their last progress. */
  private readonly replies = new Map<UnreadReply, Kept>();
  private readonly bytesMax: number;
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;

  /** @param now milliseconds that only grow */
  constructor(bytesMax: number = limits.unreadRepliesBytesMax, now: () => number = () => performance.now()) {
    this.bytesMax = bytesMax;
    this.now = now;
  }

  /** What is unsent of a reply now; 0: it is over. May cut replies, this one too. */
  set(reply: UnreadReply, unsentBytes: number): void {
    const kept = this.replies.get(reply);
    this.bytes += unsentBytes - (kept?.unsentBytes ?? 0);
    if (unsentBytes === 0) {
      this.replies.delete(reply);
      return;
    }
    const nowMs = this.now();
    if (kept === undefined)
      this.replies.set(reply, { unsentBytes, firstBytes: unsentBytes, firstMs: nowMs, progressMs: nowMs });
    else {
      if (unsentBytes < kept.unsentBytes) this.progress(reply, kept, nowMs);
      kept.unsentBytes = unsentBytes;
    }
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
    for (const [longest, { unsentBytes: bytes }] of this.replies) {
      if (this.bytes <= this.bytesMax) break;
      this.cut(longest, bytes);
    }
  }

  /** Ends the timer. May be called twice. */
  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Cuts who is too slow. */
  look(): void {
    const nowMs = this.now();
    for (const [reply, kept] of this.replies)
      if (reply.isPaced && isTooSlow(kept, nowMs)) this.cut(reply, kept.unsentBytes);
    if (this.replies.size === 0) this.close();
  }

  /** It goes to the end of the row. */
  private progress(reply: UnreadReply, kept: Kept, nowMs: number): void {
    kept.progressMs = nowMs;
    this.replies.delete(reply);
    this.replies.set(reply, kept);
  }

  private cut(reply: UnreadReply, unsentBytes: number): void {
    this.replies.delete(reply);
    this.bytes -= unsentBytes;
    this.cutCount += 1;
    reply.cut();
  }
}

function isTooSlow({ unsentBytes, firstBytes, firstMs, progressMs }: Kept, nowMs: number): boolean {
  if (nowMs - progressMs >= limits.replyIdleMsMax) return true;
  const pacedSeconds = (nowMs - firstMs - limits.replyIdleMsMax) / 1000;
  return firstBytes - unsentBytes < pacedSeconds * limits.replyBytesPerSecondMin;
}
