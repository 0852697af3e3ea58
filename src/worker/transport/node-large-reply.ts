// A large reply on node:http. Given whole, nobody could say how much of it the client has taken; so it is handed over in
// pieces, and the rest is kept and counted here.
import type { ServerResponse } from 'node:http';
import { limits } from '../../limits.ts';
import type { BudgetHolder, ByteBudget } from './byte-budget.ts';
import type { Connection, Pending } from './node-connection.ts';

export class NodeLargeReply implements BudgetHolder, Pending {
  readonly isPaced = true;
  readonly isReceiving = false;
  private readonly res: ServerResponse;
  private readonly connection: Connection;
  private readonly unread: ByteBudget;
  private rest: Buffer = Buffer.alloc(0);
  private open = true;

  /** Of a reply whose head is written. */
  constructor(res: ServerResponse, connection: Connection, unread: ByteBudget) {
    this.res = res;
    this.connection = connection;
    this.unread = unread;
  }

  /** `body` may change once this has returned. */
  send(body: string | Uint8Array): void {
    this.rest = Buffer.from(body as Uint8Array);
    this.connection.begin(this);
    this.res.on('drain', () => this.goOn());
    this.goOn();
  }

  cut(): void {
    this.connection.socket.destroy();
  }

  abort(): void {
    this.over();
  }

  private goOn(): void {
    while (this.open) {
      const piece = this.rest.subarray(0, limits.wholeReplyBytesMax);
      this.rest = this.rest.subarray(piece.byteLength);
      if (this.rest.byteLength === 0) {
        this.res.end(piece);
        this.connection.watch();
        this.over();
      } else if (!this.res.write(piece)) {
        this.unread.set(this, this.rest.byteLength + this.res.writableLength);
        return;
      }
    }
  }

  private over(): void {
    if (!this.open) return;
    this.open = false;
    this.rest = Buffer.alloc(0);
    this.unread.set(this, 0);
    this.connection.settle(this);
  }
}
