// What both libraries' WebSockets hold to: how large a message may be, and how a socket is ended.

/** Past the limit that is told in words, up to which a message is still taken in. */
export const MESSAGE_BYTES_FACTOR = 2;
/** How long a client has, once it was closed here, to take what it was sent. */
export const ENDING_MS_MAX = 3000;
export const INTERNAL_ERROR = 1011;
/** A close frame has 125 bytes, two of them the code. */
const REASON_BYTES_MAX = 123;

/** A reason that fits a close frame, cut between characters. */
export function shortened(reason: string): string {
  if (reason.length * 3 <= REASON_BYTES_MAX || Buffer.byteLength(reason) <= REASON_BYTES_MAX) return reason;
  const bytes = new Uint8Array(REASON_BYTES_MAX);
  const { read } = new TextEncoder().encodeInto(reason, bytes);
  return reason.slice(0, read);
}
