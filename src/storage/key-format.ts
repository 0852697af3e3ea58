// API keys: burgee_<highest scope>_<256 random bits in base62>_<crc32>. The prefix and the CRC let scanners find a key
// that leaked, and say whose kind it is, without a list; a key made elsewhere may be any string of 32 or more characters.
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Scope } from '../core/scopes.ts';
import { sha256Hex } from './write.ts';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** ceil(256 / log2(62)): every key has one length. */
const SECRET_DIGITS = 43;
const SECRET_BYTES = 32;
const KEY_PATTERN = /^burgee_(evaluate|read|write|admin)_([0-9A-Za-z]{43})_([0-9a-f]{8})$/;

/** A new key for its highest scope. */
export function generateKey(scope: Scope, random: (bytes: number) => Uint8Array = randomBytes): string {
  const unchecked = `burgee_${scope}_${base62(random(SECRET_BYTES), SECRET_DIGITS)}`;
  return `${unchecked}_${checksum(unchecked)}`;
}

/** The scope in a key of our format whose CRC is right; undefined for every other string, which may be a key too. */
export function parseKey(key: string): { readonly scope: Scope } | undefined {
  const match = KEY_PATTERN.exec(key);
  if (match === null || checksum(key.slice(0, -9)) !== match[3]) return undefined;
  return { scope: match[1] as Scope };
}

/** What is stored and compared: lower-case hex SHA-256 of the key's UTF-8. */
export function hashKey(key: string): string {
  return sha256Hex(key);
}

/** A new key_id. Its first digits are the time, so that a list by key_id is in the order of making. */
export function generateKeyId(atMs: number, random: (bytes: number) => Uint8Array = randomBytes): string {
  const time = base62(Uint8Array.from(bytesOf(BigInt(atMs))), 8);
  return `key_${time}${base62(random(8), 11)}`;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}

/** The bytes as one big-endian number in `digits` digits, zeros in front. */
function base62(bytes: Uint8Array, digits: number): string {
  let rest = bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
  let text = '';
  for (let i = 0; i < digits; i++) {
    text = DIGITS.charAt(Number(rest % 62n)) + text;
    rest /= 62n;
  }
  return text;
}

function bytesOf(number: bigint): number[] {
  return number === 0n ? [] : [...bytesOf(number / 256n), Number(number % 256n)];
}
