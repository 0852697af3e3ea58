// Makes a table of the program that an RE2 pattern compiles to, by following all its threads at once (the subset
// construction). It is done when the pattern is published, all of it, with every step counted: a pattern that would need
// too many is refused, and one that was accepted is searched at the same speed in every text.
import { caseVariantsOf } from './case-folding.ts';
import { type CharacterClasses, type CodePointSet, classesOf } from './character-classes.ts';
import { LOST, TABLE_ENTRIES_MAX, type TextTable } from './text-table.ts';

/** One instruction, as re2js has it. `out` and `arg` lead on, `runes` are ranges or, alone, one character. */
export interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes: Int32Array;
}

export interface Program {
  readonly inst: readonly Instruction[];
  readonly start: number;
}

/** re2js's numbers for what an instruction does. */
const OP = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  match: 6,
  nop: 7,
  rune: 8,
  rune1: 9,
  runeAny: 10,
  runeAnyNotNewline: 11,
} as const;

/** re2js's numbers for what an emptyWidth asks of the place between two characters. */
const EMPTY = { beginLine: 1, endLine: 2, beginText: 4, endText: 8, wordBoundary: 16, noWordBoundary: 32 } as const;

/** A class of a pattern whose letters have case. */
const FOLD_CASE = 1;

/** What stands before or behind a place. */
type Neighbour = 'other' | 'word' | 'newline' | 'edge';

// What an entry and a state cost beside the instructions that are looked at, in looks at an instruction.
const STEPS_PER_ENTRY = 12;
const STEPS_PER_STATE = 40;

export type TableResult =
  | { readonly table: TextTable; readonly steps: number }
  | { readonly problem: 'characters' | 'states' | 'steps'; readonly steps: number };

/** @param stepsMax looks at an instruction, of about 20 ns, and what takes as long */
export function buildPatternTable(program: Program, stepsMax: number): TableResult {
  const sets = codePointSets(program);
  const classes = classesOf(sets.list);
  if (classes === undefined) return { problem: 'characters', steps: 0 };
  return followStates(program, sets.ofInstruction, classes, stepsMax);
}

interface InstructionSets {
  readonly list: readonly CodePointSet[];
  /** Index into `list`; -1 for instructions that take no character. */
  readonly ofInstruction: Int32Array;
}

const NEWLINE: CodePointSet = [10, 10];
const WORD: CodePointSet = [48, 57, 65, 90, 95, 95, 97, 122];
const ANY: CodePointSet = [0, 0x10ffff];
const ANY_BUT_NEWLINE: CodePointSet = [0, 9, 11, 0x10ffff];

/** Index into the list of sets of the two that tell neighbours apart. */
const NEWLINE_SET = 0;
const WORD_SET = 1;

function codePointSets(program: Program): InstructionSets {
  const list: CodePointSet[] = [NEWLINE, program.inst.some(asksForWords) ? WORD : []];
  // The same class is written more than once, and copied by repetitions: indexes into `list` by what tells most apart.
  const known = new Map<string, { readonly runes: Int32Array; readonly index: number }[]>();
  const ofInstruction = Int32Array.from(program.inst, (instruction) => {
    const { op, arg, runes } = instruction;
    if (op < OP.rune || op > OP.runeAnyNotNewline) return -1;
    const key = `${op}:${arg}:${runes.length}:${runes[0]}`;
    const alike = known.get(key) ?? [];
    const same = alike.find((other) => other.runes === runes || other.runes.every((rune, i) => rune === runes[i]));
    if (same !== undefined) return same.index;
    const index = list.push(setOf(instruction)) - 1;
    known.set(key, [...alike, { runes, index }]);
    return index;
  });
  return { list, ofInstruction };
}

function asksForWords({ op, arg }: Instruction): boolean {
  return op === OP.emptyWidth && (arg & (EMPTY.wordBoundary | EMPTY.noWordBoundary)) !== 0;
}

function setOf({ op, arg, runes }: Instruction): CodePointSet {
  if (op === OP.runeAny) return ANY;
  if (op === OP.runeAnyNotNewline) return ANY_BUT_NEWLINE;
  if (runes.length !== 1) return runes;
  const code = runes[0] as number;
  const variants = (arg & FOLD_CASE) === 0 ? [code] : caseVariantsOf(code);
  return variants.toSorted((a, b) => a - b).flatMap((variant) => [variant, variant]);
}

interface State {
  /** Instructions that wait for what comes next, in ascending order. */
  readonly waiting: Int32Array;
  /** Whether one of them waits to know the place and not only a character. */
  readonly asksForPlace: boolean;
  /** What stands before; 'other' where nothing asks for it. */
  readonly before: Neighbour;
}

/** Follows the program from state to state until there is no new one. */
function followStates(
  program: Program,
  setOfInstruction: Int32Array,
  classes: CharacterClasses,
  stepsMax: number,
): TableResult {
  const width = classes.count + 1;
  const closure = createClosure(program, setOfInstruction);
  const states: State[] = [];
  const offsetOf = new Map<string, number>();
  const neighbours = neighboursOf(classes);
  // With (?m)^ what waits for nothing may still begin in the next line.
  const hasLineStarts = program.inst.some(({ op, arg }) => op === OP.emptyWidth && arg === EMPTY.beginLine);

  /** The offset of the state that the closure has gathered. */
  function offsetOfGathered(before: Neighbour): number {
    if (closure.hasMatched()) return width;
    const waiting = closure.waiting();
    if (waiting.length === 0 && !hasLineStarts) return LOST;
    const asksForPlace = waiting.some((pc) => (program.inst[pc] as Instruction).op === OP.emptyWidth);
    const known = asksForPlace ? before : 'other';
    const sorted = Int32Array.from(waiting).sort();
    const key = known + String.fromCharCode(...sorted);
    let offset = offsetOf.get(key);
    closure.count(sorted.length);
    if (offset === undefined) {
      closure.count(STEPS_PER_STATE);
      offset = (states.push({ waiting: sorted, asksForPlace, before: known }) + 1) * width;
      offsetOf.set(key, offset);
    }
    return offset;
  }

  /** Where a character of this class leads from a state; the last column is the end of the text. */
  function step(state: State, column: number): number {
    const neighbour = neighbours[column] as Neighbour;
    let ready: Int32Array | readonly number[] = state.waiting;
    if (state.asksForPlace) {
      closure.open();
      for (const pc of state.waiting) closure.follow(pc, state.before, neighbour);
      if (closure.hasMatched()) return width;
      ready = closure.waiting();
    }
    if (column === classes.count) return LOST;
    closure.open();
    closure.count(STEPS_PER_ENTRY + ready.length);
    for (const pc of ready) {
      const set = setOfInstruction[pc] as number;
      if (classes.members[set * classes.count + column] === 1) {
        closure.follow((program.inst[pc] as Instruction).out, neighbour, undefined);
      }
    }
    // The search may begin anew behind every character.
    closure.follow(program.start, neighbour, undefined);
    return offsetOfGathered(neighbour);
  }

  closure.open();
  closure.follow(program.start, 'edge', undefined);
  const start = offsetOfGathered('edge');
  // The rows of LOST and of the state that has found it, which nothing leaves.
  const next: number[] = [...Array<number>(width).fill(LOST), ...Array<number>(width).fill(width)];
  for (let index = 0; index < states.length; index++) {
    if (next.length + width > TABLE_ENTRIES_MAX) return { problem: 'states', steps: closure.steps() };
    for (let column = 0; column < width; column++) next.push(step(states[index] as State, column));
    if (closure.steps() > stepsMax) return { problem: 'steps', steps: closure.steps() };
  }
  const { latin, pageOf, pages } = classes;
  return { table: { next: Uint16Array.from(next), width, start, latin, pageOf, pages }, steps: closure.steps() };
}

function neighboursOf({ count, members }: CharacterClasses): readonly Neighbour[] {
  return Array.from({ length: count + 1 }, (_, column) => {
    if (column === count) return 'edge';
    if (members[NEWLINE_SET * count + column] === 1) return 'newline';
    return members[WORD_SET * count + column] === 1 ? 'word' : 'other';
  });
}

interface Closure {
  /** Begins a new one. */
  open(): void;
  /**
   * Adds what is reached from an instruction without a character.
   * @param behind undefined: not known yet, so what asks for it has to wait
   */
  follow(from: number, before: Neighbour, behind: Neighbour | undefined): void;
  /** What waits for a character or a place. */
  waiting(): readonly number[];
  hasMatched(): boolean;
  /** Adds to the steps. */
  count(steps: number): void;
  steps(): number;
}

function createClosure(program: Program, setOfInstruction: Int32Array): Closure {
  // Instructions bear the mark of the closure that reached them last.
  const reached = new Int32Array(program.inst.length);
  let mark = 0;
  let waiting: number[] = [];
  let matched = false;
  let steps = 0;
  const stack: number[] = [];

  function enter(pc: number, before: Neighbour, behind: Neighbour | undefined): void {
    const { op, out, arg } = program.inst[pc] as Instruction;
    if (op === OP.alt || op === OP.altMatch) stack.push(arg, out);
    else if (op === OP.capture || op === OP.nop) stack.push(out);
    else if (op === OP.match) matched = true;
    else if (op === OP.emptyWidth) {
      const met = isMet(arg, before, behind);
      if (met === true) stack.push(out);
      else if (met === undefined) waiting.push(pc);
    } else if ((setOfInstruction[pc] as number) >= 0) waiting.push(pc);
  }

  return {
    open() {
      mark++;
      waiting = [];
      matched = false;
    },
    follow(from, before, behind) {
      stack.push(from);
      while (stack.length > 0) {
        const pc = stack.pop() as number;
        steps++;
        if (reached[pc] === mark) continue;
        reached[pc] = mark;
        enter(pc, before, behind);
      }
    },
    waiting: () => waiting,
    hasMatched: () => matched,
    count(more) {
      steps += more;
    },
    steps: () => steps,
  };
}

/** Whether the place is what an instruction asks for; undefined: it depends on what stands behind. */
function isMet(asked: number, before: Neighbour, behind: Neighbour | undefined): boolean | undefined {
  switch (asked) {
    case EMPTY.beginText:
      return before === 'edge';
    case EMPTY.beginLine:
      return before === 'edge' || before === 'newline';
    case EMPTY.endText:
      return behind === undefined ? undefined : behind === 'edge';
    case EMPTY.endLine:
      return behind === undefined ? undefined : behind === 'edge' || behind === 'newline';
    case EMPTY.wordBoundary:
      return behind === undefined ? undefined : (before === 'word') !== (behind === 'word');
    case EMPTY.noWordBoundary:
      return behind === undefined ? undefined : (before === 'word') === (behind === 'word');
    default:
      return false;
  }
}
