// Hot path.
// What it takes to compare one value with one condition. A condition with a short text is cheap, and one with a list of
// thousands or with a text of 64 KiB is not: an evaluation ends after so many steps, not after so many conditions.
import { CONDITION, type CompiledCondition } from './compiled-condition.ts';
import type { Json } from './model.ts';

/** Of the visit of any node. A step is 2 to 20 ns, all measured on the values that take longest. */
export const STEPS_PER_NODE = 8;

/** Of an element that has to be read as more than a number or a member of a set. */
const STEPS_PER_READING = 8;

/** Searching a text, and hashing it, goes through four characters in a step; reading versions and times takes one each. */
export const CHARS_PER_STEP_LOG2 = 2;

/** A table is asked for each element, however short. */
const STEPS_PER_SEARCH = 2;

/** Without the visit of the condition itself. */
export function comparisonSteps(condition: CompiledCondition, value: Json | undefined): number {
  if (typeof value === 'string') return textSteps(condition, value.length);
  if (!Array.isArray(value)) return 0;
  let steps = value.length;
  if (!isReading(condition)) return steps;
  for (let i = 0; i < value.length; i++) {
    const element = value[i] as Json;
    if (typeof element === 'string') steps += elementSteps(condition, element.length);
  }
  return steps;
}

/** Looking one text up in a segment's list. */
export function lookupSteps(value: Json | undefined): number {
  if (typeof value === 'string') return value.length >> CHARS_PER_STEP_LOG2;
  if (!Array.isArray(value)) return 0;
  let steps = value.length * STEPS_PER_READING;
  for (let i = 0; i < value.length; i++) {
    const element = value[i] as Json;
    if (typeof element === 'string') steps += element.length >> CHARS_PER_STEP_LOG2;
  }
  return steps;
}

/** Whether texts are read character by character. Numbers, sets and types are not. */
function isReading({ kind }: CompiledCondition): boolean {
  if (kind >= CONDITION.before) return true;
  return kind >= CONDITION.isOneOfFolded && kind <= CONDITION.isFound;
}

function elementSteps(condition: CompiledCondition, chars: number): number {
  if (condition.kind === CONDITION.isFound)
    return condition.tables.length * (STEPS_PER_SEARCH + (chars >> CHARS_PER_STEP_LOG2));
  return STEPS_PER_READING + textSteps(condition, chars);
}

function textSteps(condition: CompiledCondition, chars: number): number {
  if (!isReading(condition)) return 0;
  switch (condition.kind) {
    case CONDITION.isFound:
      return condition.tables.length * (chars >> CHARS_PER_STEP_LOG2);
    case CONDITION.isOneOfFolded:
      return chars <= condition.charsMax ? chars : 0;
    case CONDITION.startsWith:
    case CONDITION.endsWith:
      // No more of a text is read than the longest value has.
      return chars <= condition.charsMax ? chars : condition.charsMax;
    default:
      return chars;
  }
}
