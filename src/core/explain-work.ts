// What explaining may cost. Explaining one answer evaluates the flag many times over, so the work is counted in units
// that grow with what is compared, and the search for flips ends when they are spent: the largest flag that can be
// written, asked with the largest context, must not keep a worker from everybody else.
import { attributeOf } from './attribute.ts';
import type { EvaluationContext, Membership, Observer, Outcome } from './compiled.ts';
import type { CompiledCondition } from './compiled-condition.ts';
import { comparisonSteps, STEPS_PER_NODE } from './condition-steps.ts';
import type { Allowance } from './evaluate.ts';

/** Shared by all explanations of one request. */
export interface ExplainBudget {
  /** Units of work left for flips. */
  workLeft: number;
  /** Rules and conditions that traces may still show. */
  nodesLeft: number;
  /** For the answers themselves, and for those that flips are tried by. */
  readonly allowance: Allowance;
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

/**
 * For one request that explains one answer, or several: later ones are explained with what the first ones left.
 * @param allowance of the request's evaluations
 */
export function startExplainBudget(allowance: Allowance): ExplainBudget {
  return {
    workLeft: explainLimits.explainSharesMax * explainLimits.explainWorkUnitsMax,
    nodesLeft: explainLimits.explainSharesMax * explainLimits.traceConditionsMax,
    allowance,
  };
}

/** Counts one explanation's work. Once spent it stays so. */
export interface Work {
  /** False: there is nothing left; what was asked for must not be done. */
  take(units: number): boolean;
  /** Whether something was left undone. */
  isSpent(): boolean;
  /** To be given to an evaluation too, and what does stop it. */
  readonly allowance: Allowance;
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
    allowance: budget.allowance,
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

/** Units of one visit of a condition, without those below it. */
export function visitCost(condition: CompiledCondition, context: EvaluationContext): number {
  const { source, attribute, path } = condition;
  if (!('attribute' in source)) return 1;
  return 1 + Math.floor(comparisonSteps(condition, attributeOf(context, attribute, path)) / STEPS_PER_NODE);
}
