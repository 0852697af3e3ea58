// What befalls the nodes, drawn from the seed before anything runs, so that a schedule can be run again without some of
// its steps.
import type { Random } from '../../test/support/random.ts';

const STEPS_MIN = 20;
const STEPS_MAX = 60;
const GAP_MS_MAX = 300;

/** And how often it comes, of a hundred or so. */
const WEIGHTS = {
  write: 42,
  crash_primary: 5,
  crash_node: 3,
  lose_file: 2,
  freeze_primary: 4,
  freeze_worker: 3,
  crash_worker: 4,
  miss_delta: 4,
  slow_worker: 2,
  cut_store: 6,
  cut_redis: 3,
  empty_redis: 2,
  keep_redis: 2,
  old_redis: 2,
  false_hint: 4,
  prune: 3,
  restore: 2,
  exchange: 1,
  accept: 3,
} as const;

export type StepType = keyof typeof WEIGHTS;

export interface Step {
  readonly atMs: number;
  readonly type: StepType;
  /** Index of a node, to be taken modulo their number. */
  readonly node: number;
  /** Milliseconds, of a fault that lasts. */
  readonly forMs: number;
  /** What else the step has to choose. */
  readonly choice: number;
}

const TYPES = Object.entries(WEIGHTS).flatMap(([type, weight]) => Array<StepType>(weight).fill(type as StepType));

export function drawSteps(random: Random): readonly Step[] {
  const count = STEPS_MIN + random.below(STEPS_MAX - STEPS_MIN + 1);
  let atMs = random.below(1500);
  return Array.from({ length: count }, () => {
    atMs += random.below(GAP_MS_MAX);
    return {
      atMs,
      type: random.pick(TYPES),
      node: random.below(12),
      forMs: 50 + random.below(random.below(4) === 0 ? 4000 : 600),
      choice: random.below(1000),
    };
  });
}

export function textOfStep({ atMs, type, node, forMs, choice }: Step): string {
  return `${atMs} ms ${type} node ${node} for ${forMs} ms, choice ${choice}`;
}
