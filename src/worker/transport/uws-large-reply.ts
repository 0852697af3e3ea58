// A large reply on uWebSockets.js. Given whole, what the client does not take would lie in the library, uncounted; so it
// is handed over as far as the system takes it, and the rest is kept and counted here.
import type { HttpResponse } from 'uWebSockets.js';
import type { BudgetHolder, ByteBudget } from './byte-budget.ts';
import type { Head } from './transport.ts';

export class UwsLargeReply implements BudgetHolder {
  readonly isPaced = true;
  private readonly res: HttpResponse;
  private readonly unread: ByteBudget;
  private readonly bytes: number;
  private readonly onOver: () => void;
  private rest = new Uint8Array(0);
  /** Of the whole, where `rest` begins. */
  private restFrom = 0;
  private open = true;

  /** `onOver` is called once: all of it was taken, or the client is gone. */
  constructor(res: HttpResponse, unread: ByteBudget, bytes: number, onOver: () => void) {
    this.res = res;
    this.unread = unread;
    this.bytes = bytes;
    this.onOver = onOver;
  }

  /** Inside of a cork. `body` may change once this has returned. `closing`: the client is asked to close. */
  send(status: string, head: Head, body: Uint8Array, closing: boolean): void {
    const { res } = this;
    res.onAborted(() => this.over());
    res.writeStatus(status);
    res.writeHeader(head.firstName, head.rest);
    if (closing) res.writeHeader('Connection', 'close');
    const [, isWhole] = res.tryEnd(body, this.bytes);
    if (isWhole) return this.over();
    this.restFrom = res.getWriteOffset();
    // Not slice: of a Buffer that is no copy.
    this.rest = new Uint8Array(body.subarray(this.restFrom));
    res.onWritable((offset) => this.goOn(offset));
    this.unread.set(this, this.bytes - this.restFrom);
  }

  cut(): void {
    // The library tells of it as of a client that went away.
    if (this.open) this.res.close();
  }

  private goOn(offset: number): boolean {
    if (!this.open) return true;
    const [isTaken, isWhole] = this.res.tryEnd(this.rest.subarray(offset - this.restFrom), this.bytes);
    if (isWhole) this.over();
    else this.unread.set(this, this.bytes - this.res.getWriteOffset());
    return isTaken;
  }

  private over(): void {
    if (!this.open) return;
    this.open = false;
    this.rest = new Uint8Array(0);
    this.unread.set(this, 0);
    this.onOver();
  }
}
