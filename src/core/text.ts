// Questions about strings that the parser asks of every one it keeps.

/** Bytes that `text` takes as UTF-8; a lone surrogate counts as the three bytes of U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    // The two units of a pair make four bytes: two each.
    if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      i++;
    }
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** Why a string cannot be stored, if it cannot: databases and UTF-8 have no place for these. */
export function textProblem(text: string): string | undefined {
  if (text.includes('\u0000')) return 'must not contain the character U+0000';
  if (!isWellFormed(text)) return 'must be well-formed Unicode, without lone surrogates';
  return undefined;
}

/** Whether every surrogate stands in a pair. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Whether there is a control character (C0, DEL or C1) in it. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
