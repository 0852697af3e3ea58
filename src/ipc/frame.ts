// Framing on the local socket: `u32 length, u8 type, bytes`, little-endian; length counts type and bytes. The two
// directions have tables of their own, so that a byte never means two things.
import type { ToPrimary, ToWorker } from './messages.ts';

// A message's position is its type on the wire: append, never reorder. A worker may be one build older than its primary.
const TO_PRIMARY = [
  'hello',
  'ack',
  'resend',
  'listening',
  'beat',
  'want',
  'command',
  'lease_request',
  'lease_return',
  'tally',
  'metrics',
  'unknown_flags',
  'unknown_report',
  'prepared',
] as const satisfies readonly ToPrimary['type'][];
const TO_WORKER = [
  'snapshot',
  'delta',
  'confirmed',
  'outcome',
  'lease',
  'metrics',
  'drain',
  'unknown_report',
  'welcome',
  'loaded',
  'clock',
] as const satisfies readonly ToWorker['type'][];

const HEADER_BYTES = 5;

export function encodeToPrimary(message: ToPrimary): Uint8Array {
  return frame(TO_PRIMARY.indexOf(message.type), jsonBytes(message));
}

export function encodeToWorker(message: ToWorker): Uint8Array {
  const type = TO_WORKER.indexOf(message.type);
  return frame(type, message.type === 'snapshot' || message.type === 'delta' ? message.bytes : jsonBytes(message));
}

/**
 * undefined for a type that this build does not know: a newer one sent it, and says nothing in it that this one needs.
 * Throws on bytes that are not the type's JSON: the connection is then useless.
 */
export function decodeToPrimary(type: number, bytes: Buffer): ToPrimary | undefined {
  const name = TO_PRIMARY[type];
  if (name === undefined) return undefined;
  return { ...JSON.parse(bytes.toString()), type: name } as ToPrimary;
}

/** As decodeToPrimary. */
export function decodeToWorker(type: number, bytes: Buffer): ToWorker | undefined {
  const name = TO_WORKER[type];
  if (name === undefined) return undefined;
  if (name === 'snapshot' || name === 'delta') return { type: name, bytes };
  return { ...JSON.parse(bytes.toString()), type: name } as ToWorker;
}

export interface FrameReader {
  /** Feeds what a socket delivered; calls `onFrame` for each whole frame, in order. Throws when a frame is over the bound. */
  push(chunk: Buffer): void;
}

/** @param frameBytesMax the largest frame accepted, in bytes, type included. */
export function createFrameReader(frameBytesMax: number, onFrame: (type: number, bytes: Buffer) => void): FrameReader {
  let chunks: Buffer[] = [];
  let buffered = 0;

  function take(count: number): Buffer {
    const first = chunks[0] as Buffer;
    if (first.length > count) {
      chunks[0] = first.subarray(count);
      buffered -= count;
      return first.subarray(0, count);
    }
    // A large snapshot arrives in many chunks: they are joined once, when the last is there.
    const joined = chunks.length === 1 ? first : Buffer.concat(chunks, buffered);
    chunks = joined.length > count ? [joined.subarray(count)] : [];
    buffered -= count;
    return joined.subarray(0, count);
  }

  let awaited: number | undefined;
  return {
    push(chunk) {
      chunks.push(chunk);
      buffered += chunk.length;
      for (;;) {
        if (awaited === undefined) {
          if (buffered < 4) return;
          awaited = take(4).readUInt32LE(0);
          if (awaited < 1 || awaited > frameBytesMax)
            throw new Error(`frame of ${awaited} bytes; at most ${frameBytesMax}`);
        }
        if (buffered < awaited) return;
        const body = take(awaited);
        awaited = undefined;
        onFrame(body[0] as number, body.subarray(1));
      }
    },
  };
}

function frame(type: number, bytes: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(HEADER_BYTES + bytes.length);
  framed.writeUInt32LE(bytes.length + 1, 0);
  framed[4] = type;
  framed.set(bytes, HEADER_BYTES);
  return framed;
}

function jsonBytes(message: ToPrimary | ToWorker): Buffer {
  return Buffer.from(JSON.stringify(message));
}
