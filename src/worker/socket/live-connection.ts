// Hot path.
// One client's WebSocket from its handshake to its end: who it is, what it may still send, what it has not taken yet.
// Ten thousand of them are idle at a time, so that each keeps little and shares the rest in its hub.
import type { ErrorCode } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { ADMITTED, SPENT } from '../limiter.ts';
import { jsonString } from '../routes/outcome-reply.ts';
import type { ServingKey } from '../serving.ts';
import type { Socket, SocketOwner } from '../transport/socket.ts';
import { CLOSE, type Connection } from './connection.ts';
import type { Hub } from './hub.ts';
import type { KeyGroup, Member } from './key-groups.ts';
import { readApiKey } from './read-message.ts';

/** Of one client, and let be while all clients of the worker are past their limit. */
const UNSENT_BYTES_LET_BE = 1_048_576;
const MESSAGE_BYTES_LET_BE = 1_048_576;

/**
 * `greeting`: its key is known and its token has not come yet. `leaving`: a drain goes on, and it is closed with its last
 * answer.
 */
type State = 'awaits key' | 'greeting' | 'open' | 'leaving' | 'closed';

export class LiveConnection implements Connection, SocketOwner, Member {
  private readonly hub: Hub;
  private readonly verdict: number;
  private socket: Socket | undefined;
  private group: KeyGroup | undefined;
  private state: State;
  private inFlight = 0;
  /** Of the message that is being handled, and of all that are in flight. */
  private messageBytes = 0;
  private keptBytes = 0;
  private malformedCount = 0;
  /** As the hub has counted it. */
  private unsent = 0;
  /** For the key to come; undefined before and after. */
  private timer: NodeJS.Timeout | undefined;
  /** What came before the greeting: each message's own copy. */
  private early: Early | undefined;

  /**
   * @param key undefined: it comes in the first message
   * @param verdict what the limiter said of the handshake; not SPENT
   */
  constructor(hub: Hub, key: ServingKey | undefined, verdict: number) {
    this.hub = hub;
    this.verdict = verdict;
    this.group = key === undefined ? undefined : hub.join(key, this);
    this.state = key === undefined ? 'awaits key' : 'greeting';
    this.timer = undefined;
    this.early = undefined;
  }

  get key(): ServingKey {
    const { group } = this;
    if (group === undefined) throw new Error('a connection without a key was asked for it');
    return group.key(this.hub.now()) ?? group.lastKey;
  }

  get isOpen(): boolean {
    return this.state === 'open' || this.state === 'leaving';
  }

  opened(socket: Socket): void {
    this.socket = socket;
    if (this.group === undefined) this.timer = this.hub.keyTimer(this);
    else this.hub.greet(this, this.group.lastKey, this.verdict);
  }

  message(message: Uint8Array, isBinary: boolean): void {
    if (this.state === 'closed') return;
    if (message.byteLength > limits.socketMessageBytesMax) {
      this.close(CLOSE.tooBig, `a message has at most ${limits.socketMessageBytesMax} bytes`);
    } else if (this.state === 'awaits key') this.authenticate(message, isBinary);
    else if (this.state === 'greeting') this.keepEarly(message, isBinary);
    else this.receive(message, isBinary);
  }

  drained(): void {
    this.look();
    if (this.unsent === 0 && this.isOpen) this.hub.drained(this);
  }

  /** Before the welcome it is sent pongs alone, and anybody may ask for those. */
  pinged(): void {
    if (this.isOpen) this.look();
    else if (this.unsentBytes() > limits.socketPushPauseBytes)
      this.close(CLOSE.tryAgainLater, 'too much was not read before the welcome');
  }

  closed(): void {
    this.part();
    this.socket = undefined;
    this.hub.countUnsent(-this.unsent);
    this.unsent = 0;
    this.hub.gone(this);
  }

  revoked(): void {
    this.close(CLOSE.unauthorized, 'the key was revoked or has expired');
  }

  sendText(message: string | Uint8Array): void {
    if (!this.isOpen) return;
    this.socket?.send(message, false);
    this.look();
  }

  sendBinary(message: Uint8Array): void {
    if (!this.isOpen) return;
    this.socket?.send(message, true);
    this.look();
  }

  sendError(id: number | null, code: ErrorCode, message: string, retryAfterMs = 0): void {
    this.sendText(
      `{"type":"error","id":${id},"code":"${code}","message":${jsonString(message)},"retry_after_ms":${retryAfterMs}}`,
    );
  }

  /** It has been told that a message could not be read; the last of limits.socketMalformedMax closes it. */
  countMalformed(): void {
    this.malformedCount += 1;
    if (this.malformedCount >= limits.socketMalformedMax)
      this.close(CLOSE.malformed, `${limits.socketMalformedMax} messages could not be read`);
  }

  together(work: () => void): void {
    if (this.socket === undefined) work();
    else this.socket.together(work);
  }

  unsentBytes(): number {
    return this.socket === undefined ? 0 : this.socket.unsentBytes();
  }

  begin(): (() => void) | undefined {
    // Its own message may have closed it already: nobody would settle what is begun now.
    if (this.state === 'closed') return undefined;
    if (this.inFlight >= limits.socketRequestsMax) {
      this.close(CLOSE.tryAgainLater, `over ${limits.socketRequestsMax} requests are in flight`);
      return undefined;
    }
    const bytes = this.messageBytes;
    this.inFlight += 1;
    this.keptBytes += bytes;
    this.hub.countKept(bytes);
    return () => this.settle(bytes);
  }

  close(code: number, reason: string): void {
    if (this.state === 'closed') return;
    this.part();
    this.hub.closing(code);
    this.socket?.end(code, reason);
  }

  /** The first message of the server, and what came before it. */
  welcome(text: string): void {
    if (this.state !== 'greeting') return;
    this.state = 'open';
    this.sendText(text);
    const early = this.early;
    this.early = undefined;
    for (let i = 0; early !== undefined && i < early.messages.length; i++) {
      const kept = early.messages[i] as EarlyMessage;
      this.message(kept.bytes, kept.isBinary);
    }
  }

  /** Who has its key and is told that the server stops; false: there is nobody to tell yet. */
  goodbye(text: string): boolean {
    if (this.state !== 'open') return false;
    this.sendText(text);
    return true;
  }

  /** Closes it once nothing is in flight. */
  leave(): void {
    if (this.state !== 'open') return;
    this.state = 'leaving';
    if (this.inFlight === 0) this.close(CLOSE.goingAway, 'the server is stopping');
  }

  private settle(bytes: number): void {
    if (this.state === 'closed') return;
    this.keptBytes -= bytes;
    this.hub.countKept(-bytes);
    this.inFlight -= 1;
    if (this.inFlight === 0 && this.state === 'leaving') this.close(CLOSE.goingAway, 'the server is stopping');
  }

  private authenticate(message: Uint8Array, isBinary: boolean): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    // Anybody may send it: what is far too large for a key is not even read.
    const isRead = !isBinary && message.byteLength <= limits.socketAuthBytesMax;
    const rawKey = isRead ? readApiKey(message) : undefined;
    if (rawKey === undefined) {
      this.close(CLOSE.unauthorized, 'the first message must be {"type":"auth","api_key":"..."}');
      return;
    }
    const admission = this.hub.admit(rawKey, this);
    if (admission.group === undefined) {
      this.close(admission.code, admission.reason);
      return;
    }
    this.group = admission.group;
    this.state = 'greeting';
    const key = admission.group.lastKey;
    this.hub.greet(this, key, this.hub.tryTake(key, this.hub.now()));
  }

  private keepEarly(message: Uint8Array, isBinary: boolean): void {
    const early = (this.early ??= { messages: [], byteCount: 0 });
    early.byteCount += message.byteLength;
    if (early.messages.length >= limits.socketRequestsMax || early.byteCount > limits.socketMessageBytesMax) {
      this.close(CLOSE.tryAgainLater, 'too much was sent before the welcome');
      return;
    }
    early.messages.push({ bytes: message.slice(), isBinary });
  }

  private receive(message: Uint8Array, isBinary: boolean): void {
    const nowMs = this.hub.now();
    const key = this.group === undefined ? undefined : this.group.key(nowMs);
    if (key === undefined) {
      this.revoked();
      return;
    }
    this.messageBytes = message.byteLength;
    const verdict = this.hub.tryTake(key, nowMs);
    if (verdict === ADMITTED) this.hub.dispatch(this, message, isBinary);
    else if (verdict === SPENT) this.hub.refuse(this, key, message, isBinary);
    else this.receiveLater(key, message.slice(), isBinary);
    if (this.keptBytes > MESSAGE_BYTES_LET_BE) this.lookAtKept();
  }

  /** Its token may come within milliseconds. */
  private receiveLater(key: ServingKey, message: Uint8Array, isBinary: boolean): void {
    const settle = this.begin();
    if (settle === undefined) return;
    this.hub.waitTake(this, key, (admitted) => {
      if (this.isOpen) {
        if (this.group === undefined || this.group.key(this.hub.now()) === undefined) this.revoked();
        else if (admitted) {
          this.messageBytes = message.byteLength;
          this.hub.dispatch(this, message, isBinary);
        } else this.hub.refuse(this, key, message, isBinary);
      }
      settle();
    });
  }

  /** Messages that wait for their turn, or for a revision, are in memory, and in JSON they are larger there. */
  private lookAtKept(): void {
    if (this.keptBytes > limits.socketKeptBytesMax)
      this.close(CLOSE.tryAgainLater, `over ${limits.socketKeptBytesMax} bytes of requests are in flight`);
    else if (this.hub.keptBytes > limits.socketsKeptBytesMax)
      this.close(CLOSE.tryAgainLater, 'too many bytes of requests are in flight on this server');
  }

  /** Whoever does not read is not kept for: what it has not taken has an end. */
  private look(): void {
    const unsent = this.unsentBytes();
    if (unsent !== this.unsent) {
      this.hub.countUnsent(unsent - this.unsent);
      this.unsent = unsent;
    }
    if (unsent <= UNSENT_BYTES_LET_BE) return;
    if (unsent > limits.socketUnsentBytesMax)
      this.close(CLOSE.tryAgainLater, `over ${limits.socketUnsentBytesMax} bytes were not read`);
    else if (this.hub.unsentBytes > limits.socketsUnsentBytesMax)
      this.close(CLOSE.tryAgainLater, 'too many bytes are unread by the clients of this server');
  }

  /** Everything that is kept for it goes, whoever closed it. */
  private part(): void {
    if (this.state === 'closed') return;
    const wasOpen = this.isOpen;
    this.state = 'closed';
    clearTimeout(this.timer);
    this.timer = undefined;
    this.early = undefined;
    this.hub.countKept(-this.keptBytes);
    this.keptBytes = 0;
    this.hub.parted(this, this.group, wasOpen);
  }
}

interface EarlyMessage {
  readonly bytes: Uint8Array;
  readonly isBinary: boolean;
}

interface Early {
  readonly messages: EarlyMessage[];
  byteCount: number;
}
