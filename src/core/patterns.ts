// The patterns of `matches`: RE2 syntax, read and compiled by re2js, then made into tables that are searched. re2js's own
// search is not used: its automaton is built while it searches and, where that fails, costs up to 34 ns for each character
// and instruction (docs/decisions/0014-patterns-become-tables.md has the numbers).
import { RE2JS, RE2JSSyntaxException } from 're2js';
import { documentLimits } from './document-limits.ts';
import { quote } from './issues.ts';
import { compileSteps } from './pattern-cost.ts';
import { buildPatternTable, type Program } from './pattern-table.ts';
import type { TextTable } from './text-table.ts';

export type PatternResult =
  | { readonly ok: true; readonly table: TextTable; readonly steps: number }
  | { readonly ok: false; readonly problem: string; readonly steps: number };

/** What is asked of a pattern, and how much work it may be. */
export interface PatternRequest {
  readonly pattern: string;
  readonly ignoreCase: boolean;
  /** At most documentLimits.patternStepsMax; less when others of the flag have taken some. */
  readonly stepsMax: number;
}

/** The table of a pattern, or why there is none, in words that follow the name of the field. */
export function compilePattern(request: PatternRequest): PatternResult {
  const key = `${request.ignoreCase ? 'i' : '-'}${request.pattern}`;
  const known = recent.get(key);
  if (known !== undefined && known.steps <= request.stepsMax) return known;
  const result = compileAnew(request);
  if (result.ok) remember(key, result);
  return result;
}

// A document is read and then compiled, each time with its patterns: those are kept from the one to the other.
const RECENT_MAX = 64;
const recent = new Map<string, PatternResult & { readonly ok: true }>();

function remember(key: string, result: PatternResult & { readonly ok: true }): void {
  recent.delete(key);
  recent.set(key, result);
  if (recent.size <= RECENT_MAX) return;
  for (const oldest of recent.keys()) {
    recent.delete(oldest);
    return;
  }
}

function compileAnew({ pattern, ignoreCase, stepsMax }: PatternRequest): PatternResult {
  const stepsBefore = compileSteps(pattern);
  if (stepsBefore > stepsMax) {
    const problem = `is too large: with its repetitions written out it would take about ${stepsBefore} steps to compile, and ${stepsMax} of the ${documentLimits.patternStepsMax} that a flag may take are left`;
    return refuse(pattern, problem, 0);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (error) {
    return refuse(pattern, syntaxProblem(error), stepsBefore);
  }
  const result = buildPatternTable(compiled.re2().prog as Program, stepsMax - stepsBefore);
  const steps = stepsBefore + result.steps;
  if ('table' in result) return { ok: true, table: result.table, steps };
  return refuse(pattern, TABLE_PROBLEMS[result.problem], steps);
}

function refuse(pattern: string, problem: string, steps: number): PatternResult {
  return { ok: false, problem: `${problem}, in ${quote(pattern)}`, steps };
}

const SIMPLER =
  'shorten counted repetitions such as .{0,50}, begin with ^ where the text does, name fewer characters in classes';

const TABLE_PROBLEMS = {
  characters: 'tells too many characters apart: use fewer different classes',
  states: `is too complex to be searched in one pass: ${SIMPLER}`,
  steps: `is too complex to be searched in one pass, alone or with the patterns before it: ${SIMPLER}`,
} as const;

/** What the compiler says, in words for whoever wrote the pattern. */
function syntaxProblem(error: unknown): string {
  // Nothing else is known to come out of it; if something does, the pattern is not served.
  if (!(error instanceof RE2JSSyntaxException)) return 'cannot be compiled';
  const part = error.getPattern() ?? '';
  if (/^\(\?<?[=!]/.test(part)) return 'must not look ahead or behind: RE2 syntax has no (?= (?! (?<= (?<!';
  const words = SYNTAX_PROBLEMS.get(error.getDescription());
  if (words === undefined) return 'must be RE2 syntax';
  return words.namesPart && part !== '' ? `${words.problem}: ${quote(part)}` : words.problem;
}

interface Words {
  readonly problem: string;
  /** Whether the compiler names the part that is wrong, and not the whole. */
  readonly namesPart: boolean;
}

const SYNTAX_PROBLEMS: ReadonlyMap<string, Words> = new Map([
  ['invalid character class range', { problem: 'has a class that RE2 syntax does not know', namesPart: true }],
  [
    'invalid escape sequence',
    { problem: 'has an escape that RE2 syntax does not know (back references among them)', namesPart: true },
  ],
  ['invalid named capture', { problem: 'has a group with a name that is none', namesPart: true }],
  ['duplicate capture group name', { problem: 'has two groups of one name', namesPart: true }],
  ['invalid or unsupported Perl syntax', { problem: 'has a group that RE2 syntax does not know', namesPart: true }],
  ['invalid nested repetition operator', { problem: 'repeats a repetition', namesPart: true }],
  ['invalid repeat count', { problem: 'repeats more than 1000 times', namesPart: true }],
  ['missing argument to repetition operator', { problem: 'has nothing in front of a repetition', namesPart: true }],
  ['missing closing ]', { problem: 'has a [ without its ]', namesPart: true }],
  ['missing closing )', { problem: 'has a ( without its )', namesPart: false }],
  ['unexpected )', { problem: 'has a ) without its (', namesPart: false }],
  ['trailing backslash at end of expression', { problem: 'must not end in a backslash', namesPart: false }],
  ['expression nests too deeply', { problem: 'nests groups too deeply', namesPart: false }],
  ['expression too large', { problem: 'is too large', namesPart: false }],
]);
