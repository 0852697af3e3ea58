// Batches of evaluations as jobs: in slices, each from one snapshot, by the kernel where a bucket alone decides and by
// the evaluator for the rest.
import type { EvaluationContext, HashUser } from '../../core/compiled.ts';
import type { BatchKernel } from '../../kernel/batch-kernel.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import { BinaryJob } from './binary-job.ts';
import { JsonJob } from './json-job.ts';
import type { ReplyForm } from './panel.ts';
import type { Plan } from './plan.ts';
import type { Plans } from './plans.ts';
import { ReplyBuffer } from './reply-buffer.ts';
import type { Job } from './turns.ts';

export type { ReplyForm } from './panel.ts';

export interface JsonBatch {
  readonly environment: ServingEnvironment;
  readonly key: ServingKey;
  /** undefined: all that the key may see. One named twice is told once. */
  readonly flagIds: readonly string[] | undefined;
  readonly contexts: readonly EvaluationContext[];
  readonly form: ReplyForm;
  /** What stands before and behind the rows. Rows of 'batch' are objects, those of 'ofrep' arrays; commas between them. */
  readonly head: string;
  readonly tail: string;
  /**
   * The whole reply.
   * @param isOwn the bytes are nobody else's; false: they are used again, so send or copy them before returning
   */
  readonly done: (reply: Uint8Array, isOwn: boolean) => void;
  /** It makes more work than one request may (limits.requestConditionsMax): nothing was sent. */
  readonly tooMuchWork: () => void;
  /** Asked between slices; true: nobody waits any more, and the job ends without `done`. */
  readonly abandoned?: () => boolean;
}

export interface BinaryBatch {
  readonly plan: Plan;
  /** The users as in the frame, from the first length on; valid until `turns.run` returns, for a job that waits copies them. */
  readonly users: Uint8Array;
  readonly userCount: number;
  readonly withAttributes: boolean;
  readonly packed: boolean;
  /** Writes the reply's 24 bytes of head. */
  readonly writeHead: (head: Uint8Array) => void;
  /** As for a JsonBatch. */
  readonly done: (reply: Uint8Array, isOwn: boolean) => void;
  /**
   * The message says what would be right, and names the user.
   * @param isMalformed the lengths do not add up to the frame's; false: it can be read, and a value in it is wrong
   */
  readonly refused: (message: string, user: number, isMalformed: boolean) => void;
  readonly tooMuchWork: () => void;
  readonly abandoned?: () => boolean;
}

export interface Batches {
  /** contexts x flags must be within limits.batchEvaluationsMax: the caller has checked it with `plans.find(...)`. */
  json(batch: JsonBatch): Job;
  /** users x flags must be within limits.binaryEvaluationsMax, and users within limits.binaryUsersMax. */
  binary(batch: BinaryBatch): Job;
  /** Answers of the batches that were asked for since the start. */
  readonly evaluationCount: number;
}

/** What all jobs of one worker share. */
export interface BatchShared {
  readonly kernel: BatchKernel;
  readonly hash: HashUser;
  readonly now: () => number;
  readonly sliceMs: number;
  /** Cells that the kernel decides without a look at the clock. */
  readonly chunkCells: number;
  /** Of users that the kernel takes in without one. */
  readonly chunkBytes: number;
  /** For replies that are whole after one slice. */
  readonly reply: ReplyBuffer;
}

/** How much is done at once; tests make it little. */
export interface SliceBounds {
  /** Default: 0.8 ms, so that a slice with what it does not measure stays near a millisecond. */
  readonly sliceMs?: number;
  readonly chunkCells?: number;
  readonly chunkBytes?: number;
}

// About a fifth of a millisecond each: assembling takes some 10 ns a cell, hashing and checking 1 ns a byte. In
// JavaScript ten times as long.
const CHUNK_CELLS = 16_384;
const CHUNK_CELLS_JS = 2048;
const CHUNK_BYTES = 131_072;
const CHUNK_BYTES_JS = 32_768;
const SLICE_MS = 0.8;

export function createBatches(deps: {
  readonly kernel: BatchKernel;
  readonly hash: HashUser;
  readonly plans: Plans;
  /** Milliseconds, with fractions. */
  readonly now: () => number;
  readonly bounds?: SliceBounds;
}): Batches {
  const { kernel, hash, plans, now, bounds = {} } = deps;
  const isJs = kernel.name === 'js';
  const shared: BatchShared = {
    kernel,
    hash,
    now,
    sliceMs: bounds.sliceMs ?? SLICE_MS,
    chunkCells: bounds.chunkCells ?? (isJs ? CHUNK_CELLS_JS : CHUNK_CELLS),
    chunkBytes: bounds.chunkBytes ?? (isJs ? CHUNK_BYTES_JS : CHUNK_BYTES),
    reply: new ReplyBuffer(),
  };
  let evaluationCount = 0;
  return {
    json(batch) {
      const plan = plans.find(batch.environment, batch.key, batch.flagIds).distinct;
      evaluationCount += plan.flagIds.length * batch.contexts.length;
      return new JsonJob(shared, batch, plan);
    },
    binary(batch) {
      evaluationCount += batch.plan.flagIds.length * batch.userCount;
      return new BinaryJob(shared, batch);
    },
    get evaluationCount() {
      return evaluationCount;
    },
  };
}
