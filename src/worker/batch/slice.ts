// Hot path.
// How long a job has worked without a pause, asked for seldom enough to cost nothing and often enough to be on time.
import { STEPS_PER_NODE } from '../../core/condition-steps.ts';
import type { Allowance } from '../../core/evaluate.ts';

/** Evaluations between two looks at the clock: about a tenth of a microsecond each. */
const EVALUATIONS_PER_LOOK = 16;

/** Of conditions and long texts between two looks: some 50 microseconds. */
const STEPS_PER_LOOK = 500 * STEPS_PER_NODE;

export class Slice {
  private readonly now: () => number;
  private readonly msMax: number;
  private endsMs = 0;
  private evaluations = 0;
  private stepsAtLook = 0;

  constructor(now: () => number, msMax: number) {
    this.now = now;
    this.msMax = msMax;
  }

  begin(allowance: Allowance): void {
    this.endsMs = this.now() + this.msMax;
    this.evaluations = 0;
    this.stepsAtLook = allowance.stepsLeft;
  }

  isOver(): boolean {
    return this.now() >= this.endsMs;
  }

  /** To be asked after each evaluation. */
  isOverAfter(allowance: Allowance): boolean {
    this.evaluations += 1;
    if (this.evaluations < EVALUATIONS_PER_LOOK && this.stepsAtLook - allowance.stepsLeft < STEPS_PER_LOOK)
      return false;
    this.evaluations = 0;
    this.stepsAtLook = allowance.stepsLeft;
    return this.now() >= this.endsMs;
  }
}
