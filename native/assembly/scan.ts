// Finds the users of a frame and checks that their ids are UTF-8.
import { PLACE_BYTES, PLACES_AT, USERS_AT } from './layout';

const TRUNCATED: u32 = 1;
const EMPTY: u32 = 2;
const NOT_UTF8: u32 = 3;

/** Bytes taken; what is wrong is below 0: -(4 * user + problem). */
export function scan(byteCount: u32, count: u32, withAttributes: u32): i32 {
  const end = USERS_AT + byteCount;
  let at = USERS_AT;
  let place = PLACES_AT;
  for (let user: u32 = 0; user < count; user++) {
    if (end - at < 2) return refusal(user, TRUNCATED);
    const length: u32 = load<u16>(at);
    at += 2;
    if (length === 0) return refusal(user, EMPTY);
    if (length > end - at) return refusal(user, TRUNCATED);
    if (!isUtf8(at, at + length)) return refusal(user, NOT_UTF8);
    store<u32>(place, at - USERS_AT, 0);
    store<u32>(place, length, 4);
    at += length;
    let attributes: u32 = 0;
    if (withAttributes !== 0) {
      if (end - at < 4) return refusal(user, TRUNCATED);
      attributes = load<u32>(at);
      at += 4;
      if (attributes > end - at) return refusal(user, TRUNCATED);
    }
    store<u32>(place, at - USERS_AT, 8);
    store<u32>(place, attributes, 12);
    at += attributes;
    place += PLACE_BYTES;
  }
  return at - USERS_AT;
}

function refusal(user: u32, problem: u32): i32 {
  return -(((user << 2) | problem) as i32);
}

/** Sixteen bytes at a time as long as they are ASCII; behind the last user is slack to read. */
function isUtf8(start: u32, end: u32): bool {
  let at = start;
  while (at < end) {
    let high: u32 = i8x16.bitmask(v128.load(at));
    const left = end - at;
    if (left < 16) high &= (1 << left) - 1;
    if (high === 0) {
      at += 16;
    } else {
      at = afterCharacter(at + ctz<u32>(high), end);
      if (at === 0) return false;
    }
  }
  return true;
}

/** Where the character of more than one byte at `at` ends; 0: it is none. */
function afterCharacter(at: u32, end: u32): u32 {
  const lead: u32 = load<u8>(at);
  let more: u32 = 1;
  let low: u32 = 0x80;
  let high: u32 = 0xbf;
  if (lead < 0xc2) return 0;
  if (lead >= 0xf0) {
    if (lead > 0xf4) return 0;
    more = 3;
    if (lead === 0xf0) low = 0x90;
    if (lead === 0xf4) high = 0x8f;
  } else if (lead >= 0xe0) {
    more = 2;
    if (lead === 0xe0) low = 0xa0;
    if (lead === 0xed) high = 0x9f;
  }
  if (more >= end - at) return 0;
  const second: u32 = load<u8>(at, 1);
  if (second < low || second > high) return 0;
  for (let i: u32 = 2; i <= more; i++) {
    if ((load<u8>(at + i) & 0xc0) !== 0x80) return 0;
  }
  return at + more + 1;
}
