// Hot path.
// Ids for requests that bring none: a random UUID for 65,536 of them, the last four digits of which count. They have to
// be told apart in a log, not to be hard to guess.
import { randomUUID } from 'node:crypto';

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

let head = '';
let count = 0;

export function nextRequestId(): string {
  if (count === 0) head = randomUUID().slice(0, -4);
  const id = head + DIGITS[count >> 8] + DIGITS[count & 0xff];
  count = (count + 1) & 0xffff;
  return id;
}
