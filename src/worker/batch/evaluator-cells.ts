// Hot path.
// The cells of some rows that a bucket alone does not decide, one after another, with a pause wherever the slice is over.
import type { CompiledFlag, EvaluationContext, HashUser, Outcome } from '../../core/compiled.ts';
import { type Allowance, evaluate } from '../../core/evaluate.ts';
import { isSpent } from '../routes/allowance.ts';
import type { Plan } from './plan.ts';
import type { Slice } from './slice.ts';

/** `spent`: the batch makes more work than one request may. */
export type Progress = 'done' | 'over' | 'spent';

export class EvaluatorCells {
  /** Of the rows begun last: `columns.forEvaluator` of the first row, of the second, and so on. */
  readonly outcomes: Outcome[] = [];
  private readonly plan: Plan;
  private readonly hash: HashUser;
  private readonly allowance: Allowance;

  constructor(plan: Plan, hash: HashUser, allowance: Allowance) {
    this.plan = plan;
    this.hash = hash;
    this.allowance = allowance;
  }

  restart(): void {
    this.outcomes.length = 0;
  }

  /** Goes on with the row whose context this is, up to `cellCount` outcomes in all. */
  goOn(context: EvaluationContext, cellCount: number, slice: Slice): Progress {
    const { outcomes, plan, hash, allowance } = this;
    const { forEvaluator } = plan.columns;
    const { flags, environment } = plan;
    const width = forEvaluator.length;
    for (let column = outcomes.length - (cellCount - width); column < width; column += 1) {
      const flag = flags[forEvaluator[column] as number] as CompiledFlag;
      outcomes.push(evaluate(flag, context, environment, hash, undefined, allowance));
      if (isSpent(allowance)) return 'spent';
      if (slice.isOverAfter(allowance) && outcomes.length < cellCount) return 'over';
    }
    return 'done';
  }
}
