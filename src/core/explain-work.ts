// What explaining may cost. Explaining one answer evaluates the flag many times over, so the work is counted in units
// that grow with what is compared, and the search for flips ends when they are spent: the largest flag that can be
// written, asked with the largest context, must not keep a worker from everybody else.
import { attributeOf } from './attribute.ts';
import type { EvaluationContext, Membership, Observer, Outcome } from './compiled.ts';
import type { CompiledCondition } from './compiled-condition.ts';
import type { Json } from './model.ts';

/** Shared by all explanations of one request. */
export interface ExplainBudget {
  /** Units of work left for flips. */
  workLeft: number;
  /** Rules and conditions that traces may still show. */
  nodesLeft: number;
}

/** What one explanation may take. src/limits.ts shows these to the world with the others. */
export const explainLimits = Object.freeze({
  /** Units of work for the flips of one answer. A unit is the visit of a simple condition. */
  explainWorkUnitsMax: 20_000,
  /** How many explanations' worth of work and of conditions one request may take. */
  explainSharesMax: 10,
  /** Evaluations of changed flags and contexts for one answer. */
  flipEvaluationsMax: 500,
  /** Rules and conditions in the steps of one answer. */
  traceConditionsMax: 1000,
  /** Flips of one answer. */
  flipsMax: 8,
  /** Single changes that make up one flip. All their selections are tried, so the work grows with two to its power. */
  flipChangesMax: 4,
});

/** For one request that explains one answer, or several: later ones are explained with what the first ones left. */
export function startExplainBudget(): ExplainBudget {
  return {
    workLeft: explainLimits.explainSharesMax * explainLimits.explainWorkUnitsMax,
    nodesLeft: explainLimits.explainSharesMax * explainLimits.traceConditionsMax,
  };
}

/** Counts one explanation's work. Once spent it stays so. */
export interface Work {
  /** False: there is nothing left; what was asked for must not be done. */
  take(units: number): boolean;
  /** Whether something was left undone. */
  isSpent(): boolean;
  /** To be given to an evaluation: takes what it costs, though it cannot stop it. */
  readonly observer: (context: EvaluationContext) => Observer;
}

export function startWork(budget: ExplainBudget): Work {
  let left = Math.min(explainLimits.explainWorkUnitsMax, budget.workLeft);
  let spent = false;
  function take(units: number): boolean {
    if (left < units) spent = true;
    if (spent) return false;
    left -= units;
    budget.workLeft -= units;
    return true;
  }
  return {
    take,
    isSpent: () => spent,
    observer: (context) => ({
      prerequisite: ignore,
      target: ignore,
      rule: ignore,
      segment: ignore,
      condition: (condition) => void take(visitCost(condition, context)),
    }),
  };
}

function ignore(_first: unknown, _second?: string | boolean | Membership, _served?: Outcome, _met?: boolean): void {}

/** Operators that find theirs among sorted values by halving; the others have a set, or one bound. */
const HALVING: ReadonlySet<string> = new Set(['starts_with', 'ends_with', 'in_cidr']);

/** Values compared for one unit. */
const COMPARISONS_PER_UNIT = 4;

/** Characters of text that count as one comparison: a table steps through all of them, others see little of a text. */
const CHARS_PER_COMPARISON = { table: 4, other: 128 } as const;

/** Units of one visit of a condition, without those below it. */
export function visitCost(condition: CompiledCondition, context: EvaluationContext): number {
  const { source, attribute, path, tables } = condition;
  if (!('attribute' in source)) return 1;
  const isSearch = tables.length > 0;
  // `contains` and `matches` read the text once for each table.
  const comparisons = isSearch ? tables.length : HALVING.has(source.op) ? halvings(source.values?.length ?? 1) : 1;
  const chars = isSearch ? CHARS_PER_COMPARISON.table : CHARS_PER_COMPARISON.other;
  return 1 + Math.floor((comparisons * sizeOf(attributeOf(context, attribute, path), chars)) / COMPARISONS_PER_UNIT);
}

/** How often so many values are cut in two until one is left. */
function halvings(count: number): number {
  return 32 - Math.clz32(count);
}

function sizeOf(value: Json | undefined, chars: number): number {
  if (typeof value === 'string') return 1 + value.length / chars;
  if (!Array.isArray(value)) return 1;
  let size = 1;
  for (const element of value) size += typeof element === 'string' ? 1 + element.length / chars : 1;
  return size;
}
