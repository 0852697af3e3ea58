// When a number of a client may become a number of ours. Ids are often digits, and two of them must not become one: a
// number that would come back as another one (9007199254740993, 1e400) stays the text it is, however it was sent.

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

const PLAIN_INTEGER = /^-?[0-9]+$/;

/** The value of a JSON number; undefined when the text is none, or no double has exactly this value in decimal. */
export function exactNumber(text: string): number | undefined {
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  const shortest = String(value);
  if (shortest === text) return value;
  // Plain integers have one spelling each, but for -0. Most of what is not exact is a long id.
  if (value !== 0 && PLAIN_INTEGER.test(text) && PLAIN_INTEGER.test(shortest)) return undefined;
  return normalised(text) === normalised(shortest) ? value : undefined;
}

/**
 * The digits that count and the power of ten they stand for: one form for all spellings of a decimal number. In steps
 * as many as digits: a text of zeros is not to cost more than another.
 */
function normalised(text: string): string {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = whole + fraction;
  let from = 0;
  let to = digits.length;
  while (from < to && digits[from] === '0') from += 1;
  while (to > from && digits[to - 1] === '0') to -= 1;
  if (from === to) return '0';
  const power = Number(exponent) - fraction.length + (digits.length - to);
  return `${mantissa.startsWith('-') ? '-' : ''}${digits.slice(from, to)}e${power}`;
}
