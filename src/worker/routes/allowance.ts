// Hot path.
// What all evaluations of one request may take together. One is bounded by itself; a thousand of the largest would keep
// their worker silent for so long that it is taken for hung.
import { STEPS_PER_NODE } from '../../core/condition-steps.ts';
import type { Allowance } from '../../core/evaluate.ts';
import { limits } from '../../limits.ts';

export function startAllowance(): Allowance {
  return { stepsLeft: limits.requestConditionsMax * STEPS_PER_NODE };
}

export function isSpent(allowance: Allowance): boolean {
  return allowance.stepsLeft <= 0;
}
