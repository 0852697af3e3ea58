// The body of one request as it comes: chunks wait here until somebody takes them, and past a bound the client waits.

import type { BudgetHolder, ByteBudget } from './byte-budget.ts';

const NOTHING = new Uint8Array(0);

/** How a body ended: whole, over its limit, with its client gone, or with a reply that did not need the rest. */
export type BodyEnd = 'complete' | 'too-large' | 'aborted' | 'answered';

/** What a body needs of its connection. */
interface Flow {
  /** Stops reading from the client, and goes on. */
  pause(): void;
  resume(): void;
  /** Cuts the connection. */
  close(): void;
}

export class IncomingBody implements BudgetHolder {
  readonly isPaced = false;
  /** undefined: more may come. Of a complete one there may still be chunks to take. */
  ended: BodyEnd | undefined = undefined;
  private readonly flow: Flow;
  private readonly budget: ByteBudget;
  private readonly bytesMax: number;
  private readonly unreadBytesMax: number;
  private readonly unread: Uint8Array[] = [];
  private unreadBytes = 0;
  private bodyBytes = 0;
  private paused = false;
  private wake: (() => void) | undefined;
  private look: ((bytes: Uint8Array | undefined) => void) | undefined;

  /** `budget`: of all bodies that have not ended. */
  constructor(flow: Flow, bytesMax: number, unreadBytesMax: number, budget: ByteBudget) {
    this.budget = budget;
    this.flow = flow;
    this.bytesMax = bytesMax;
    this.unreadBytesMax = unreadBytesMax;
  }

  /** Takes what the library shows; it is copied, for it is taken away again. */
  receive(chunk: ArrayBuffer | Uint8Array, isLast: boolean): void {
    if (this.ended !== undefined) return;
    this.bodyBytes += chunk.byteLength;
    if (this.bodyBytes > this.bytesMax) return this.breakOff('too-large');
    if (isLast && this.look !== undefined) this.show(chunk);
    // It may have been answered by that.
    if (this.ended === undefined) this.keep(chunk, isLast);
  }

  private keep(chunk: ArrayBuffer | Uint8Array, isLast: boolean): void {
    if (chunk.byteLength > 0) {
      this.unread.push(ownCopy(chunk));
      this.unreadBytes += chunk.byteLength;
    }
    if (isLast) this.complete();
    else if (this.unreadBytes > this.unreadBytesMax && !this.paused) {
      this.paused = true;
      this.flow.pause();
    }
    this.wake?.();
    // One that is taken in pieces is kept in pieces.
    if (!isLast && this.unreadBytesMax === this.bytesMax) this.budget.set(this, this.bodyBytes);
  }

  /** All other bodies together are too much, and this one has been coming for longest. */
  cut(): void {
    this.flow.close();
  }

  /** `look` is called once, when the body has ended: with the bytes of a complete one, valid until it returns. */
  whenEnded(look: (bytes: Uint8Array | undefined) => void): void {
    this.look = look;
  }

  /** The client is gone. A body that is complete stays. */
  abort(): void {
    // A connection that is gone cannot be resumed.
    this.paused = false;
    if (this.ended === undefined) this.breakOff('aborted');
  }

  /** The reply goes out: what else comes of the body is read and thrown away. */
  abandon(): void {
    if (this.ended === undefined) this.breakOff('answered');
  }

  /** The next chunk; undefined at the end, and `ended` says which. One call at a time. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.unread.length === 0 && this.ended === undefined) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    this.wake = undefined;
    const chunk = this.unread.shift();
    this.unreadBytes -= chunk?.byteLength ?? 0;
    if (this.unreadBytes <= this.unreadBytesMax) this.release();
    return chunk;
  }

  /** All of it; undefined when it is over its limit, empty when the client has gone. */
  async all(): Promise<Uint8Array | undefined> {
    const chunks: Uint8Array[] = [];
    for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next()) chunks.push(chunk);
    if (this.ended === 'complete') return join(chunks, this.bodyBytes);
    return this.ended === 'too-large' ? undefined : NOTHING;
  }

  /** Most bodies come in one chunk and are answered at once: then nothing is copied. */
  private show(last: ArrayBuffer | Uint8Array): void {
    const { look } = this;
    this.look = undefined;
    const shown = asBytes(last);
    look?.(this.unread.length === 0 ? shown : join([...this.unread, shown], this.bodyBytes));
  }

  /** Ends without being whole. What is left of it is read from the client all the same, and thrown away. */
  private breakOff(ended: BodyEnd): void {
    this.budget.set(this, 0);
    this.ended = ended;
    this.unread.length = 0;
    this.unreadBytes = 0;
    this.release();
    this.wake?.();
    const { look } = this;
    this.look = undefined;
    if (ended !== 'answered') look?.(undefined);
  }

  private complete(): void {
    this.budget.set(this, 0);
    this.ended = 'complete';
  }

  private release(): void {
    if (!this.paused) return;
    this.paused = false;
    this.flow.resume();
  }
}

function ownCopy(chunk: ArrayBuffer | Uint8Array): Uint8Array {
  return asBytes(chunk).slice();
}

/** Without what Buffer adds: whoever takes a slice of it wants a copy. */
function asBytes(chunk: ArrayBuffer | Uint8Array): Uint8Array {
  return chunk instanceof Uint8Array
    ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    : new Uint8Array(chunk);
}

function join(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const only = chunks[0];
  if (only === undefined) return NOTHING;
  if (chunks.length === 1) return only;
  const joined = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return joined;
}
