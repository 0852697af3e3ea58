// What is kept for slow clients, of all of them together: replies that they do not take, bodies that do not end. One of
// them is nothing, thousands are the worker's memory. Who takes nothing, or next to nothing, is cut, and when it is too
// much for all the ones that have waited longest are.
import { limits } from '../../limits.ts';

const LOOK_MS = 1000;

/** What something is kept for. */
export interface BudgetHolder {
  /** Whether its client has to take it at some speed: a reply that is whole. */
  readonly isPaced: boolean;
  /** Cuts the connection. */
  cut(): void;
}

interface Kept {
  keptBytes: number;
  /** What there was at first, and when. */
  readonly firstBytes: number;
  readonly firstMs: number;
  progressMs: number;
}

export class ByteBudget {
  /** Of all holders. */
  bytes = 0;
  /** Connections that were cut, since the start. */
  cutCount = 0;
  /** In the order of their last progress. */
  private readonly holders = new Map<BudgetHolder, Kept>();
  private readonly bytesMax: number;
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;

  /** @param now milliseconds that only grow */
  constructor(bytesMax: number, now: () => number = () => performance.now()) {
    this.bytesMax = bytesMax;
    this.now = now;
  }

  /** What is kept for a holder now; 0: it is over. May cut others, and this one too. */
  set(holder: BudgetHolder, keptBytes: number): void {
    const kept = this.holders.get(holder);
    this.bytes += keptBytes - (kept?.keptBytes ?? 0);
    if (keptBytes === 0) {
      this.holders.delete(holder);
      return;
    }
    const nowMs = this.now();
    if (kept === undefined)
      this.holders.set(holder, { keptBytes, firstBytes: keptBytes, firstMs: nowMs, progressMs: nowMs });
    else {
      if (keptBytes < kept.keptBytes) this.progress(holder, kept, nowMs);
      kept.keptBytes = keptBytes;
    }
    this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
    for (const [longest, { keptBytes: bytes }] of this.holders) {
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
    for (const [holder, kept] of this.holders)
      if (holder.isPaced && isTooSlow(kept, nowMs)) this.cut(holder, kept.keptBytes);
    if (this.holders.size === 0) this.close();
  }

  /** It goes to the end of the row. */
  private progress(holder: BudgetHolder, kept: Kept, nowMs: number): void {
    kept.progressMs = nowMs;
    this.holders.delete(holder);
    this.holders.set(holder, kept);
  }

  private cut(holder: BudgetHolder, keptBytes: number): void {
    this.holders.delete(holder);
    this.bytes -= keptBytes;
    this.cutCount += 1;
    holder.cut();
  }
}

function isTooSlow({ keptBytes, firstBytes, firstMs, progressMs }: Kept, nowMs: number): boolean {
  if (nowMs - progressMs >= limits.replyIdleMsMax) return true;
  const pacedSeconds = (nowMs - firstMs - limits.replyIdleMsMax) / 1000;
  return firstBytes - keptBytes < pacedSeconds * limits.replyBytesPerSecondMin;
}
