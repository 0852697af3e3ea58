// Hot path.
// Unicode simple case folding (CaseFolding.txt, statuses C and S), code point by code point: what `ignore_case` means.
// No language's rules: the Turkish dotless i stays apart, and ß is not ss.
import { CASE_FOLDING_RUNS } from './case-folding-table.ts';

const PAGE_CHARS = 256;

/** Distances to the folded code point by page of 256; undefined where no code point of the page folds. */
const PAGES: readonly (Int32Array | undefined)[] = pagesOf(CASE_FOLDING_RUNS);

/** The code point that stands for this one whatever its case. */
export function foldCodePoint(code: number): number {
  if (code < 0x80) return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
  const page = PAGES[code >> 8];
  return page === undefined ? code : code + (page[code & 0xff] as number);
}

/**
 * The text with every code point folded; the text itself when none changes. No folding changes how many UTF-16 code
 * units a code point takes (a test looks at all), so the length stays.
 */
export function foldText(text: string): string {
  const length = text.length;
  let i = 0;
  while (i < length) {
    const code = text.charCodeAt(i);
    if (code >= 0x80 || (code >= 0x41 && code <= 0x5a)) break;
    i++;
  }
  if (i === length) return text;
  let folded = '';
  // What need not be folded is copied in one piece.
  let copied = 0;
  while (i < length) {
    const code = text.codePointAt(i) as number;
    const units = code > 0xffff ? 2 : 1;
    const target = foldCodePoint(code);
    if (target !== code) {
      folded += text.slice(copied, i) + String.fromCodePoint(target);
      copied = i + units;
    }
    i += units;
  }
  return copied === 0 ? text : folded + text.slice(copied);
}

/**
 * All code points that fold to the same as this one, itself among them.
 * Cold: once for each letter of a pattern that is published.
 */
export function caseVariantsOf(code: number): readonly number[] {
  variants ??= variantsByTarget();
  return variants.get(foldCodePoint(code)) ?? [code];
}

let variants: ReadonlyMap<number, readonly number[]> | undefined;

/** Cold: once a process. */
function variantsByTarget(): ReadonlyMap<number, readonly number[]> {
  const byTarget = new Map<number, number[]>();
  for (let i = 0; i < CASE_FOLDING_RUNS.length; i += 4) {
    const [from, to, step, distance] = CASE_FOLDING_RUNS.slice(i, i + 4) as [number, number, number, number];
    for (let code = from; code <= to; code += step) {
      const sharers = byTarget.get(code + distance);
      if (sharers === undefined) byTarget.set(code + distance, [code + distance, code]);
      else sharers.push(code);
    }
  }
  return byTarget;
}

/** Cold: once a process. */
function pagesOf(runs: readonly number[]): readonly (Int32Array | undefined)[] {
  const pages: (Int32Array | undefined)[] = [];
  for (let i = 0; i < runs.length; i += 4) {
    const [from, to, step, distance] = runs.slice(i, i + 4) as [number, number, number, number];
    for (let code = from; code <= to; code += step) {
      const page = (pages[code >> 8] ??= new Int32Array(PAGE_CHARS));
      page[code & 0xff] = distance;
    }
  }
  // Without holes, so that reading one is as quick as reading another.
  return Array.from({ length: 0x1100 }, (_, index) => pages[index]);
}
