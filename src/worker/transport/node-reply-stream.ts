// A reply in chunks on node:http, which keeps what the socket does not take and says how much that is.
import type { ServerResponse } from 'node:http';
import { limits } from '../../limits.ts';
import type { BudgetHolder, ByteBudget } from './byte-budget.ts';
import type { Connection } from './node-connection.ts';
import { writeHead } from './node-reply.ts';
import type { Head, ReplyStream } from './transport.ts';

interface Beginning {
  readonly status: string;
  readonly head: Head;
  /** The head asks the client to close. */
  readonly closing: boolean;
  /** False when the client has gone already. */
  readonly alive: boolean;
  /** Where its unsent bytes are counted. */
  readonly unread: ByteBudget;
}

export class NodeReplyStream implements ReplyStream, BudgetHolder {
  readonly isPaced = false;
  private readonly res: ServerResponse;
  private readonly connection: Connection;
  private readonly beginning: Beginning;
  private readonly onOver: () => void;
  private open: boolean;
  private gone: boolean;
  private begun = false;
  private tellWritable: (() => void) | undefined;
  private tellClosed: (() => void) | undefined;
  private tellDrain: (() => void) | undefined;

  /** `onOver` is called once: the reply is whole, its client is gone, or it was cut. */
  constructor(res: ServerResponse, connection: Connection, beginning: Beginning, onOver: () => void) {
    this.res = res;
    this.connection = connection;
    this.beginning = beginning;
    this.onOver = onOver;
    this.open = beginning.alive;
    this.gone = !beginning.alive;
    if (this.open) res.on('drain', () => this.writable());
  }

  write(chunk: string | Uint8Array): boolean {
    // An empty chunk would be the end of the reply.
    if (!this.open || chunk.length === 0) return true;
    this.begin(undefined);
    const accepted = this.res.write(typeof chunk === 'string' ? chunk : Buffer.from(chunk));
    if (accepted) return true;
    if (this.res.writableLength > limits.streamUnsentBytesMax) this.close();
    else this.beginning.unread.set(this, this.res.writableLength);
    return false;
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
    return this.open ? this.res.writableLength : 0;
  }

  end(): void {
    if (!this.open) return;
    this.begin(0);
    this.over();
    this.res.end();
  }

  close(): void {
    if (!this.open) return;
    this.connection.socket.destroy();
    this.abort();
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

  private begin(contentLength: number | undefined): void {
    if (this.begun) return;
    this.begun = true;
    const { status, head, closing } = this.beginning;
    writeHead(this.res, status, head, contentLength, closing);
  }

  private writable(): void {
    if (!this.open) return;
    this.beginning.unread.set(this, 0);
    this.tellWritable?.();
  }

  private over(): void {
    this.open = false;
    this.beginning.unread.set(this, 0);
    this.onOver();
  }
}
