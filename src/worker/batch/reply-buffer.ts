// Hot path.
// The bytes of a reply while it is put together.

/** Beyond this a buffer that many replies share is let go: one huge reply is not to be paid for ever. */
const SHARED_BYTES_MAX = 2 * 1_048_576;
const FIRST_BYTES = 65_536;

export class ReplyBuffer {
  length = 0;
  private bytes: Buffer;

  /** @param bytes expected; more is made room for */
  constructor(bytes = FIRST_BYTES) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
  }

  /** For the next reply. */
  restart(): void {
    this.length = 0;
    if (this.bytes.length > SHARED_BYTES_MAX) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  }

  /** Any text. A lone surrogate becomes EF BF BD. */
  text(text: string): void {
    const { length } = text;
    // A UTF-16 unit is at most three bytes.
    if (this.bytes.length - this.length < length * 3) this.grow(length * 3);
    // Heads are short and ASCII: a call into the engine takes longer than they do.
    if (length > 128) {
      this.length += this.bytes.write(text, this.length);
      return;
    }
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.length += bytes.write(text, this.length);
        return;
      }
      bytes[at++] = unit;
    }
    this.length = at;
  }

  byte(byte: number): void {
    if (this.length === this.bytes.length) this.grow(1);
    this.bytes[this.length++] = byte;
  }

  append(bytes: Uint8Array): void {
    if (this.bytes.length - this.length < bytes.length) this.grow(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** What is there so far: good until the next call. */
  whole(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy with room for as much as `bytes` in all. */
  copy(bytes: number): ReplyBuffer {
    const copied = new ReplyBuffer(Math.max(bytes, this.length));
    copied.append(this.bytes.subarray(0, this.length));
    return copied;
  }

  private grow(more: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.length + more, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}
