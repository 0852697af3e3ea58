// What tests of batches share: environments as they are served, and a way to run a job with others in between.
import type { CompiledFlag } from '../../../../src/core/compiled.ts';
import type { BatchKernel } from '../../../../src/kernel/batch-kernel.ts';
import { createBatchKernel } from '../../../../src/kernel/create-batch-kernel.ts';
import { createJsKernel } from '../../../../src/kernel/js-kernel.ts';
import { hashUser } from '../../../../src/kernel/murmur3.ts';
import { type Batches, createBatches, type SliceBounds } from '../../../../src/worker/batch/batches.ts';
import { createPlans, type Plans } from '../../../../src/worker/batch/plans.ts';
import type { Job } from '../../../../src/worker/batch/turns.ts';
import type { ServingEnvironment, ServingKey } from '../../../../src/worker/serving.ts';
import { makeKey } from '../../../support/serving.ts';

export const KERNELS: readonly BatchKernel[] = [createJsKernel(), createBatchKernel().kernel];

export const EVERY_KEY: ServingKey = makeKey({ raw: 'every', scope: 'evaluate' });

export interface Engine {
  readonly batches: Batches;
  readonly plans: Plans;
}

/** @param bounds.sliceMs 0: a pause at every look at the clock */
export function openEngine(kernel: BatchKernel, bounds: SliceBounds = {}, now = () => performance.now()): Engine {
  const plans = createPlans();
  return { plans, batches: createBatches({ kernel, hash: hashUser, now, bounds }) };
}

/** Runs the job as `turns` does. Between two slices `disturb` uses what all jobs share. Returns the count of slices. */
export function runJob(job: Job, disturb: () => void = () => {}): number {
  for (let slices = 1; ; slices += 1) {
    if (job.step()) return slices;
    if (slices === 1) job.wait?.();
    if (slices > 1_000_000) throw new Error('the job does not end');
    disturb();
  }
}

export function environmentOf(
  flags: Iterable<CompiledFlag>,
  segments: ServingEnvironment['segments'] = new Map(),
): ServingEnvironment {
  const sorted = [...flags].sort((a, b) => (a.flagId < b.flagId ? -1 : 1));
  return {
    environment: 'prod',
    json: '{}',
    changedAt: 1,
    flags: new Map(sorted.map((flag) => [flag.flagId, flag])),
    segments,
  };
}
