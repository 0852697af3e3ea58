// Hot path.
// The cells of some rows that a bucket alone does not decide, one after another, with a pause wherever the slice is over.
import type { CompiledFlag, EvaluationContext, HashUser, Outcome } from '../../core/compiled.ts';
import { type Allowance, evaluate } from '../../core/evaluate.ts';
import { isSpent } from '../routes/allowance.ts';
import type { ServingEnvironment } from '../serving.ts';
import type { Panel } from './panel.ts';
import type { Slice } from './slice.ts';

/** `over`: the slice is; `spent`: the batch makes more work than one request may. */
export type Progress = 'done' | 'over' | 'spent';

export class EvaluatorCells {
  /** Of the rows begun last: the evaluator's columns of the first row, of the second, and so on. */
  readonly outcomes: Outcome[] = [];
  private readonly environment: ServingEnvironment;
  private readonly hash: HashUser;
  private readonly allowance: Allowance;

  constructor(environment: ServingEnvironment, hash: HashUser, allowance: Allowance) {
    this.environment = environment;
    this.hash = hash;
    this.allowance = allowance;
  }

  /** For other rows, or another panel. */
  restart(): void {
    this.outcomes.length = 0;
  }

  /** Goes on with the row whose context this is, and the `row`th since `restart`. */
  goOn(panel: Panel, context: EvaluationContext, row: number, slice: Slice): Progress {
    const { outcomes, environment, hash, allowance } = this;
    const { forEvaluator } = panel.columns;
    const width = forEvaluator.length;
    for (let i = outcomes.length - row * width; i < width; i += 1) {
      const flag = panel.flags[forEvaluator[i] as number] as CompiledFlag;
      outcomes.push(evaluate(flag, context, environment, hash, undefined, allowance));
      if (isSpent(allowance)) return 'spent';
      if (slice.isOverAfter(allowance) && i + 1 < width) return 'over';
    }
    return 'done';
  }
}
