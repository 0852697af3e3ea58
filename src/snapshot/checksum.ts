// Two checks of two things: the XOR of item tags says that a holder has the same items as the store; xxHash64 says that
// the bytes which carried them arrived whole.
import xxhash from 'xxhash-wasm';
import type { ItemKind } from './item.ts';

export interface Sums {
  keys: bigint;
  rest: bigint;
}

/** XORs a tag in or, since XOR undoes itself, out. */
export function toggle(sums: Sums, kind: ItemKind, tag: bigint): void {
  if (isOfKeys(kind)) sums.keys ^= tag;
  else sums.rest ^= tag;
}

/** Whether an item belongs to the part of a snapshot that never leaves the node, whose sum is `keys`. */
export function isOfKeys(kind: ItemKind): boolean {
  return kind === 'key' || kind === 'secret';
}

export type HashBytes = (bytes: Uint8Array) => bigint;

/** xxHash64, seed 0, unsigned. Compiles a small WASM module once. */
export async function createHashBytes(): Promise<HashBytes> {
  const { h64Raw } = await xxhash();
  return (bytes) => h64Raw(bytes);
}

export type HashText = (text: string) => string;

/** xxHash64 of the UTF-8, seed 0, as 16 hexadecimal digits. Compiles a small WASM module once. */
export async function createHashText(): Promise<HashText> {
  const { h64ToString } = await xxhash();
  return (text) => h64ToString(text);
}
