// A reply in chunks on uWebSockets.js. The library says whether earlier bytes are still unsent, never how many; drains
// its own buffer only when it is written to; and leaves the head unfinished until the first chunk.
import type { HttpResponse } from 'uWebSockets.js';
import { limits } from '../../limits.ts';
import type { BudgetHolder, ByteBudget } from './byte-budget.ts';
import type { Head, ReplyStream } from './transport.ts';

/** What a stream's owner does when it is over, by whichever end. */
export interface StreamOwner {
  /** Called once: the reply is whole, its client is gone, or it was cut. */
  readonly onOver: () => void;
  /** Where its unsent bytes are counted. */
  readonly unread: ByteBudget;
}

export class UwsReplyStream implements ReplyStream, BudgetHolder {
  readonly isPaced = false;
  private readonly res: HttpResponse;
  private readonly status: string;
  private readonly head: Head;
  private readonly closing: boolean;
  private readonly owner: StreamOwner;
  private open: boolean;
  private begun = false;
  private gone: boolean;
  private unsent = 0;
  /** Whether the client has not taken all: then it is counted with all others. */
  private isKept = false;
  private tellWritable: (() => void) | undefined;
  private tellClosed: (() => void) | undefined;
  private tellDrain: (() => void) | undefined;

  /** `closing`: the head asks the client to close. `alive`: false when the client has gone already. */
  constructor(res: HttpResponse, status: string, head: Head, closing: boolean, alive: boolean, owner: StreamOwner) {
    this.res = res;
    this.status = status;
    this.head = head;
    this.closing = closing;
    this.owner = owner;
    this.open = alive;
    this.gone = !alive;
    if (alive) res.onWritable(() => this.writable());
  }

  write(chunk: string | Uint8Array): boolean {
    // An empty chunk would be the end of the reply.
    if (!this.open || chunk.length === 0) return true;
    let accepted = true;
    this.res.cork(() => {
      this.begin();
      accepted = this.res.write(chunk);
    });
    const bytes = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
    // True speaks of what was written before: this chunk may only lie in the cork's buffer.
    const wasKept = this.isKept;
    this.isKept = !accepted;
    this.unsent = accepted ? bytes : this.unsent + bytes;
    if (this.unsent > limits.streamUnsentBytesMax) this.close();
    else if (!accepted || wasKept) this.owner.unread.set(this, accepted ? 0 : this.unsent);
    return accepted;
  }

  onWritable(tell: () => void): void {
    this.tellWritable = tell;
  }

  onClosed(tell: () => void): void {
    if (this.gone) tell();
    else this.tellClosed = tell;
  }

  onDrain(tell: () => void): void {
    this.tellDrain = tell;
  }

  unsentBytes(): number {
    return this.open ? this.unsent : 0;
  }

  end(): void {
    if (!this.open) return;
    this.over();
    this.res.cork(() => {
      // With a second argument the library would write a header line into the body.
      if (this.begun) this.res.end();
      else {
        this.writeHead();
        this.res.end('', this.closing);
      }
    });
  }

  close(): void {
    if (!this.open) return;
    // The library tells of it as of a client that went away.
    this.res.close();
  }

  cut(): void {
    this.close();
  }

  /** The server is stopping: the owner may say a last word, then the reply ends. */
  drain(): void {
    if (!this.open) return;
    this.tellDrain?.();
    this.end();
  }

  /** The connection is gone. */
  abort(): void {
    if (!this.open) return;
    this.gone = true;
    this.over();
    this.tellClosed?.();
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.writeHead();
    // By hand, as everywhere a reply does not end with its first write.
    if (this.closing) this.res.writeHeader('Connection', 'close');
  }

  private writeHead(): void {
    this.res.writeStatus(this.status);
    this.res.writeHeader(this.head.firstName, this.head.rest);
  }

  private writable(): boolean {
    if (!this.open) return true;
    // Whoever listens for this has to drain the library's buffer, which an empty cork does.
    this.res.cork(() => {});
    if (this.open && this.isKept) this.taken();
    if (this.open) this.tellWritable?.();
    return true;
  }

  /** Some was taken: how much is known with the next write. */
  private taken(): void {
    this.isKept = false;
    this.owner.unread.set(this, 0);
  }

  private over(): void {
    this.open = false;
    this.unsent = 0;
    this.owner.unread.set(this, 0);
    this.owner.onOver();
  }
}
