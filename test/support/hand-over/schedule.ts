// What is done to the processes, and when: drawn from a seed alone. Which worker "the second" is, is found out when its
// moment comes.
import { createRandom, type Random } from '../random.ts';

/** Times in milliseconds; `worker` counts the living ones by pid, round and round. */
export type Fault =
  | { readonly type: 'kill primary' }
  | { readonly type: 'kill worker'; readonly worker: number }
  | { readonly type: 'freeze worker'; readonly worker: number; readonly forMs: number }
  /** Frozen while a write is under way, and then continued or killed. */
  | {
      readonly type: 'freeze worker in a write';
      readonly worker: number;
      readonly afterMs: number;
      readonly forMs: number;
      readonly kill: boolean;
    }
  | { readonly type: 'freeze all workers'; readonly forMs: number }
  /** The primary dies while workers are frozen; they are continued before, while or after the next one expects them. */
  | {
      readonly type: 'freeze orphans';
      readonly workers: readonly number[];
      readonly killAfterMs: number;
      /** From when the next primary expects them, or else from the death of the one before. */
      readonly forMs: number;
      readonly fromNextPrimary: boolean;
    }
  /** The primary dies, and a worker that the next one expects. */
  | { readonly type: 'kill expected worker'; readonly worker: number; readonly afterMs: number }
  | { readonly type: 'freeze primary'; readonly forMs: number }
  | { readonly type: 'kill launcher'; readonly restartAfterMs: number }
  | { readonly type: 'kill launcher of a frozen primary'; readonly restartAfterMs: number; readonly forMs: number }
  | { readonly type: 'terminate orphan'; readonly worker: number; readonly restartAfterMs: number }
  | { readonly type: 'replace all' }
  /** The primary loses DATA_DIR to another while it is frozen, and is continued. */
  | { readonly type: 'take the lock away'; readonly forMs: number; readonly rivalMs: number };

export interface Schedule {
  readonly steps: readonly { readonly atMs: number; readonly fault: Fault }[];
}

const STEPS_MAX = 4;
const SPAN_MS = 1500;

/** How often each is drawn. */
const WEIGHTS: Readonly<Record<Fault['type'], number>> = {
  'kill primary': 12,
  'kill worker': 8,
  'freeze worker': 12,
  'freeze worker in a write': 16,
  'freeze all workers': 4,
  'freeze orphans': 20,
  'kill expected worker': 8,
  'freeze primary': 8,
  'kill launcher': 8,
  'kill launcher of a frozen primary': 4,
  'terminate orphan': 6,
  'replace all': 8,
  'take the lock away': 4,
};

/** `number` of `seed`; `types` are the faults that may be drawn. */
export function drawSchedule(seed: number, number: number, types: readonly Fault['type'][] = FAULT_TYPES): Schedule {
  const random = createRandom(Math.imul(seed, 1_000_003) + number);
  // Neighbouring seeds begin alike.
  for (let i = 0; i < 8; i++) random.float();
  const stepCount = 1 + random.below(STEPS_MAX);
  const steps = Array.from({ length: stepCount }, () => ({
    atMs: Math.round(random.float() * SPAN_MS),
    fault: drawFault(random, types),
  }));
  return { steps: steps.sort((a, b) => a.atMs - b.atMs) };
}

export const FAULT_TYPES = Object.keys(WEIGHTS) as readonly Fault['type'][];

function drawFault(random: Random, types: readonly Fault['type'][]): Fault {
  let left = random.below(types.reduce((sum, type) => sum + WEIGHTS[type], 0));
  const type = types.find((each) => (left -= WEIGHTS[each]) < 0) as Fault['type'];
  const worker = random.below(1000);
  const ms = (max: number): number => Math.round(random.float() * max);
  switch (type) {
    case 'kill primary':
    case 'replace all':
      return { type };
    case 'kill worker':
      return { type, worker };
    case 'freeze worker':
      return { type, worker, forMs: 20 + ms(2000) };
    case 'freeze worker in a write':
      return { type, worker, afterMs: ms(6), forMs: 20 + ms(2000), kill: random.below(3) === 0 };
    case 'freeze all workers':
      return { type, forMs: 20 + ms(1500) };
    case 'freeze orphans': {
      const workers = Array.from({ length: 1 + random.below(2) }, (_, i) => worker + i);
      const fromNextPrimary = random.below(4) > 0;
      return { type, workers, killAfterMs: ms(400), forMs: ms(2600), fromNextPrimary };
    }
    case 'kill expected worker':
      return { type, worker, afterMs: ms(900) };
    case 'freeze primary':
      // One in six is longer than the launcher waits.
      return { type, forMs: random.below(6) === 0 ? 6500 : 20 + ms(2500) };
    case 'kill launcher':
      return { type, restartAfterMs: random.below(2) === 0 ? 0 : ms(1500) };
    case 'kill launcher of a frozen primary':
      return { type, restartAfterMs: ms(600), forMs: 20 + ms(3000) };
    case 'terminate orphan':
      return { type, worker, restartAfterMs: ms(800) };
    case 'take the lock away':
      return { type, forMs: 1500 + ms(2500), rivalMs: 3000 + ms(2500) };
    default:
      return type satisfies never;
  }
}
