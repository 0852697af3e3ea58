// Hot path.
// Whether bytes are UTF-8, as a strict decoder sees it: no overlong forms, no surrogates, nothing above U+10FFFF,
// nothing cut off.

/** About bytes[at] to bytes[end - 1]. */
export function isUtf8(bytes: Uint8Array, at: number, end: number): boolean {
  let i = at;
  while (i < end) {
    const lead = bytes[i] as number;
    if (lead < 0x80) {
      i++;
      continue;
    }
    // What follows the lead: how many bytes, and between which two the first of them is.
    let more = 1;
    let low = 0x80;
    let high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) more = 1;
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead === 0xe0) low = 0xa0;
      else if (lead === 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead === 0xf0) low = 0x90;
      else if (lead === 0xf4) high = 0x8f;
    } else return false;
    if (i + more >= end) return false;
    const second = bytes[i + 1] as number;
    if (second < low || second > high) return false;
    for (let k = 2; k <= more; k++) {
      if (((bytes[i + k] as number) & 0xc0) !== 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}
