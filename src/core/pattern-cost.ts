// What it will cost to compile a pattern, found by reading it once. Counted repetitions multiply (a thousand characters
// can ask for a hundred thousand instructions), so this is asked before anything is compiled. It follows RE2's syntax
// closely enough to be never too low for what compiles; what does not compile may get any number.
// All costs are in steps of buildPatternTable, of about 20 ns, and were measured.

/** An instruction of the program: to make it, and to look for shortcuts that re2js could take. */
const STEPS_PER_INSTRUCTION = 100;

/** A character or range in a class, for each copy of the class that a repetition makes. */
const STEPS_PER_MEMBER = 2;

/** The ranges of a \p class, up to 700 of them, for each copy. */
const STEPS_PER_UNICODE_CLASS = 2000;

/** Reading a \p class, once. A range costs a step for each character, as all are folded one by one. */
const STEPS_TO_READ_UNICODE_CLASS = 8000;

/** RE2 refuses more than this many repetitions by itself. */
const REPETITIONS_MAX = 1000;

/** Behind the last letter that has a case: folding does nothing up there. */
const CASED_END = 0x1e944;

/** At least what compiling the pattern takes. */
export function compileSteps(pattern: string): number {
  // Costs of what is around the group that is read, outermost first.
  const around: number[] = [];
  // What every program has: a failure, a match, and something between.
  let cost = 3 * STEPS_PER_INSTRUCTION;
  // Of what a repetition would repeat.
  let last = 0;
  let readingCost = 0;
  let i = 0;
  while (i < pattern.length) {
    const repeated = repetitionAt(pattern, i);
    if (repeated !== undefined) {
      const written = (repeated.end - i) * STEPS_PER_INSTRUCTION;
      const grown = last * repeated.copies + (repeated.optional + 1) * STEPS_PER_INSTRUCTION;
      // Not less than its own characters, for when RE2 takes it as plain text: {01}.
      cost += Math.max(grown, last + written) - last;
      last = Math.max(grown, last + written);
      i = repeated.end;
    } else if (pattern[i] === '(') {
      around.push(cost);
      // What marks where the group begins and ends, and what stands for nothing in it.
      cost = 3 * STEPS_PER_INSTRUCTION;
      last = 0;
      i = groupStart(pattern, i + 1);
    } else if (pattern[i] === ')') {
      last = cost;
      cost += around.pop() ?? 0;
      i++;
    } else {
      const item = itemAt(pattern, i);
      last = item.steps;
      cost += item.steps * item.count;
      readingCost += item.readingSteps;
      i = item.end;
    }
  }
  return around.reduce((sum, outer) => sum + outer, cost) + readingCost;
}

interface Item {
  /** Of one of them, for each copy. */
  readonly steps: number;
  /** More than one only for quoted text and alternatives. */
  readonly count: number;
  /** However often it is repeated. */
  readonly readingSteps: number;
  readonly end: number;
}

function itemAt(pattern: string, start: number): Item {
  const one = { steps: STEPS_PER_INSTRUCTION, count: 1, readingSteps: 0 };
  // The choice, and what stands for nothing on one side of it.
  if (pattern[start] === '|') return { ...one, count: 2, end: start + 1 };
  if (pattern[start] === '[') {
    const end = classEnd(pattern, start);
    return { ...classCost(pattern.slice(start + 1, end)), count: 1, end: end + 1 };
  }
  if (pattern[start] !== '\\') return { ...one, end: start + 1 };
  const quoted = quotedEnd(pattern, start);
  if (quoted !== undefined) return { ...one, count: quoted - start, end: quoted };
  const end = escapeEnd(pattern, start);
  if (!isUnicodeClass(pattern, start)) return { ...one, end };
  const steps = STEPS_PER_INSTRUCTION + STEPS_PER_UNICODE_CLASS;
  return { steps, count: 1, readingSteps: STEPS_TO_READ_UNICODE_CLASS, end };
}

/** Behind what marks a group: (?:, (?i:, (?P<name> and the like. */
function groupStart(pattern: string, start: number): number {
  const mark = /^\?(?:P?<[^>]*>|[A-Za-z-]*:?)/.exec(pattern.slice(start, start + 256));
  return start + (mark?.[0].length ?? 0);
}

/** Behind \Q...\E; undefined where there is none. */
function quotedEnd(pattern: string, start: number): number | undefined {
  if (pattern[start + 1] !== 'Q') return undefined;
  const end = pattern.indexOf('\\E', start + 2);
  return end === -1 ? pattern.length : end + 2;
}

function isUnicodeClass(pattern: string, start: number): boolean {
  return pattern[start + 1] === 'p' || pattern[start + 1] === 'P';
}

/** Behind an escape, with what belongs to it: \x{10FFFF}, \xFF, \p{Greek}, \pL. */
function escapeEnd(pattern: string, start: number): number {
  const kind = pattern[start + 1];
  if ((kind === 'x' || kind === 'p' || kind === 'P') && pattern[start + 2] === '{') {
    const end = pattern.indexOf('}', start + 3);
    if (end !== -1) return end + 1;
  }
  if (kind === 'x') return start + 4;
  return start + (isUnicodeClass(pattern, start) ? 3 : 2);
}

interface Repetition {
  /** How often the program holds what is repeated. */
  readonly copies: number;
  /** How many of the copies may be left out, by an instruction each. */
  readonly optional: number;
  readonly end: number;
}

function repetitionAt(pattern: string, start: number): Repetition | undefined {
  const char = pattern[start];
  if (char === '*' || char === '+' || char === '?') return { copies: 1, optional: 1, end: start + 1 };
  if (char !== '{') return undefined;
  const counted = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(pattern.slice(start, start + 24));
  if (counted === null) return undefined;
  const least = Number(counted[1]);
  const most = counted[2] === undefined ? least : counted[3] === '' ? least + 1 : Number(counted[3]);
  const copies = Math.min(Math.max(least, most, 1), REPETITIONS_MAX + 1);
  return { copies, optional: Math.min(Math.max(most - least, 1), copies), end: start + counted[0].length };
}

/** The ] of a class. One right behind the opening is a member, as is one in [:name:]. */
function classEnd(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === '^') i++;
  if (pattern[i] === ']') i++;
  while (i < pattern.length) {
    if (pattern[i] === ']') return i;
    const named = pattern.startsWith('[:', i) ? pattern.indexOf(':]', i + 2) : -1;
    if (named !== -1) i = named + 2;
    else i = pattern[i] === '\\' ? escapeEnd(pattern, i) : i + 1;
  }
  return pattern.length;
}

function classCost(members: string): Pick<Item, 'steps' | 'readingSteps'> {
  let steps = STEPS_PER_INSTRUCTION;
  let readingSteps = 0;
  let previous: number | undefined;
  for (let i = 0; i < members.length; ) {
    steps += STEPS_PER_MEMBER;
    if (members[i] === '-' && previous !== undefined && i + 1 < members.length) {
      const last = codeAt(members, i + 1);
      readingSteps += Math.max(0, Math.min(last, CASED_END) - Math.min(previous, CASED_END));
      i = memberEnd(members, i + 1);
      previous = undefined;
      continue;
    }
    if (members[i] === '\\' && isUnicodeClass(members, i)) {
      steps += STEPS_PER_UNICODE_CLASS;
      readingSteps += STEPS_TO_READ_UNICODE_CLASS;
    }
    previous = codeAt(members, i);
    i = memberEnd(members, i);
  }
  return { steps, readingSteps };
}

function memberEnd(members: string, start: number): number {
  if (members[start] === '\\') return escapeEnd(members, start);
  return start + ((members.codePointAt(start) as number) > 0xffff ? 2 : 1);
}

/** The code point of a member of a class. For escapes that are none it may be any. */
function codeAt(members: string, start: number): number {
  if (members[start] !== '\\') return members.codePointAt(start) as number;
  const hex = /^\\x(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(members.slice(start, start + 12));
  if (hex !== null) return Number.parseInt((hex[1] ?? hex[2]) as string, 16);
  const octal = /^\\([0-7]{1,3})/.exec(members.slice(start, start + 4));
  if (octal !== null) return Number.parseInt(octal[1] as string, 8);
  return members.codePointAt(start + 1) ?? 0;
}
