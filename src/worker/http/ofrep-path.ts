// Paths of OFREP as its clients send them. A base URL that ends in a slash gives `//ofrep/...`, and some clients put the
// flag's key into the path as it is, slashes and all.
import { decodePart } from './query.ts';

const PREFIX = '/ofrep/';
const ONE_FLAG = '/ofrep/v1/evaluate/flags/';
const SLASH = 0x2f;

/** The path as the route table has it; undefined when it is none of OFREP's. */
export function ofrepPath(path: string): string | undefined {
  let start = 0;
  while (path.charCodeAt(start) === SLASH && path.charCodeAt(start + 1) === SLASH) start += 1;
  if (!path.startsWith(PREFIX, start)) return undefined;
  const plain = path.slice(start);
  return plain.startsWith(ONE_FLAG) ? ONE_FLAG + plain.slice(ONE_FLAG.length).replaceAll('/', '%2F') : plain;
}

/** The key of the one flag that an OFREP path asks for, as sent where it cannot be decoded; undefined: none. */
export function flagKeyOf(path: string): string | undefined {
  if (!path.startsWith(ONE_FLAG)) return undefined;
  const raw = path.slice(ONE_FLAG.length);
  return decodePart(raw) ?? raw;
}
