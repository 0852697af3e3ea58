// Writes src/core/case-folding-table.ts: Unicode simple case folding (CaseFolding.txt, statuses C and S) as ranges. It is
// read off the engine's own /iu comparison, which ECMAScript defines by that file, so no download is needed; the
// Unicode version is the engine's. Run it with a newer Node.js to move to a newer Unicode.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LAST = 0x10ffff;
const PER_LINE = 6;

/** Every code point that shares a spelling in some case with another one, by that spelling. */
function candidates() {
  const bySpelling = new Map();
  for (let code = 0; code <= LAST; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const char = String.fromCodePoint(code);
    for (const spelling of new Set([char, char.toLowerCase(), char.toUpperCase(), char.toUpperCase().toLowerCase()])) {
      const sharers = bySpelling.get(spelling);
      if (sharers === undefined) bySpelling.set(spelling, [code]);
      else sharers.push(code);
    }
  }
  return [...bySpelling.values()].filter((codes) => codes.length > 1);
}

function isSame(a, b) {
  return new RegExp(`^\\u{${a.toString(16)}}$`, 'iu').test(String.fromCodePoint(b));
}

/** Sets of code points that fold to one, by the least of each set. */
function foldings() {
  const leader = new Map();
  const find = (code) => {
    const above = leader.get(code);
    return above === undefined || above === code ? code : find(above);
  };
  for (const codes of candidates()) {
    for (const code of codes.slice(1)) {
      const first = codes[0];
      if (find(first) !== find(code) && isSame(first, code)) {
        const [low, high] = [find(first), find(code)].sort((a, b) => a - b);
        leader.set(high, low);
        leader.set(low, low);
      }
    }
  }
  const sets = new Map();
  for (const code of leader.keys()) {
    const least = find(code);
    sets.set(least, [...(sets.get(least) ?? []), code]);
  }
  return [...sets.values()].map((codes) => codes.sort((a, b) => a - b));
}

/** What the set folds to: its lower-case letter, but for Cherokee, which has capitals for the old letters. */
function targetOf(codes) {
  const isCherokee = codes.some((code) => code >= 0x13a0 && code <= 0x13f5);
  if (isCherokee) return codes.find((code) => code >= 0x13a0 && code <= 0x13f5);
  // A capital's lower-case letter is what the others are folded to; ſ, ς and the like are lower case but no target.
  for (const code of codes) {
    const char = String.fromCodePoint(code);
    const lower = [...char.toLowerCase()];
    const target = lower[0].codePointAt(0);
    if (lower.length === 1 && target !== code && codes.includes(target)) return target;
  }
  // Two spellings of one letter without a capital: whichever stands for both, none sees it.
  return codes[0];
}

/** [from, to, step, distance] of each run, four numbers in a row. */
function runsOf(pairs) {
  const runs = [];
  for (const [code, target] of pairs) {
    const run = runs.at(-1);
    const distance = target - code;
    if (run !== undefined && run.distance === distance) {
      const step = code - run.to;
      if (step <= 2 && (run.step === undefined || run.step === step)) {
        run.to = code;
        run.step = step;
        continue;
      }
    }
    runs.push({ from: code, to: code, step: undefined, distance });
  }
  return runs.map(({ from, to, step = 1, distance }) => [from, to, step, distance]);
}

const pairs = foldings()
  .flatMap((codes) => {
    const target = targetOf(codes);
    return codes.filter((code) => code !== target).map((code) => [code, target]);
  })
  .sort(([a], [b]) => a - b);
const runs = runsOf(pairs);
const hex = (number) => `0x${number.toString(16)}`;
const rows = runs.map(([from, to, step, distance]) => `${hex(from)}, ${hex(to)}, ${step}, ${distance},`);
const lines = [];
for (let i = 0; i < rows.length; i += PER_LINE) lines.push(`  ${rows.slice(i, i + PER_LINE).join(' ')}`);

const text = `// Made by scripts/generate-case-folding.mjs; do not edit. Unicode simple case folding (CaseFolding.txt, C and S).

/** The version of Unicode that the ranges are of. */
export const CASE_FOLDING_UNICODE_VERSION = '${process.versions.unicode}';

/** ${pairs.length} code points in ${runs.length} runs of four numbers: from, to, step, and how far the folded one lies from each. */
// biome-ignore format: it is a table
export const CASE_FOLDING_RUNS: readonly number[] = [
${lines.join('\n')}
];
`;
writeFileSync(fileURLToPath(new URL('../src/core/case-folding-table.ts', import.meta.url)), text);
console.log(`Unicode ${process.versions.unicode}: ${pairs.length} code points fold, in ${runs.length} runs.`);
