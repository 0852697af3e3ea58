// The token in the address of an event stream, which cannot carry headers. Any node can check it, for the secret is in
// the snapshot. base64url of:
//
//   0  u8  1        1  u32 expiry, seconds since 1970, little-endian        5  u8 bytes of the environment
//   6  environment, then key_id, as UTF-8; to the end but 32: HMAC-SHA256 of everything before
import { createHmac, timingSafeEqual } from 'node:crypto';
import { limits } from '../limits.ts';

const VERSION = 1;
const HEADER_BYTES = 6;
const MAC_BYTES = 32;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/**
 * Tokens of one quarter of an hour are the same, so that a client which asks for its flags again keeps its stream; and
 * so a token lives for 45 to 60 minutes.
 */
const WINDOW_MS = 900_000;
const WINDOWS_ALIVE = 4;

export interface StreamGrant {
  readonly keyId: string;
  readonly environment: string;
}

/**
 * Counts windows. A client that is told that nothing changed keeps its old token, so it may be told so only within the
 * window of that token: then 45 minutes are left.
 */
export function tokenWindow(nowMs: number): number {
  return Math.floor(nowMs / WINDOW_MS);
}

/** undefined for a key_id that is too long to go into an address. */
export function makeStreamToken(grant: StreamGrant, secret: Uint8Array, nowMs: number): string | undefined {
  const environment = Buffer.from(grant.environment);
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = VERSION;
  header.writeUInt32LE(((tokenWindow(nowMs) + WINDOWS_ALIVE) * WINDOW_MS) / 1000, 1);
  header[5] = environment.length;
  const signed = Buffer.concat([header, environment, Buffer.from(grant.keyId)]);
  const token = Buffer.concat([signed, sign(signed, secret)]).toString('base64url');
  return token.length > limits.streamTokenCharsMax ? undefined : token;
}

/** What a token of ours grants; undefined for anything else, and for one that has expired. */
export function readStreamToken(token: string, secret: Uint8Array, nowMs: number): StreamGrant | undefined {
  if (token.length > limits.streamTokenCharsMax || !BASE64URL.test(token)) return undefined;
  const bytes = Buffer.from(token, 'base64url');
  const end = bytes.length - MAC_BYTES;
  if (end < HEADER_BYTES) return undefined;
  const signed = bytes.subarray(0, end);
  // Believed before anything in it is read.
  if (!timingSafeEqual(bytes.subarray(end), sign(signed, secret))) return undefined;
  if (signed[0] !== VERSION || nowMs >= signed.readUInt32LE(1) * 1000) return undefined;
  const keyAt = HEADER_BYTES + (signed[5] as number);
  return { environment: signed.toString('utf8', HEADER_BYTES, keyAt), keyId: signed.toString('utf8', keyAt) };
}

function sign(bytes: Uint8Array, secret: Uint8Array): Uint8Array {
  return createHmac('sha256', secret).update(bytes).digest();
}
