// Batches of evaluations as jobs: in slices, each from one snapshot, by the kernel where a bucket alone decides and by
// the evaluator for the rest.
import type { EvaluationContext } from '../../core/compiled.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import type { Plan } from './plans.ts';
import type { Job } from './turns.ts';

/** How the cells of a JSON reply are told: as POST /evaluate and the socket do, or as OFREP does. */
export type ReplyForm = 'batch' | 'ofrep';

export interface JsonBatch {
  readonly environment: ServingEnvironment;
  readonly key: ServingKey;
  /** undefined: all that the key may see. */
  readonly flagIds: readonly string[] | undefined;
  readonly contexts: readonly EvaluationContext[];
  readonly form: ReplyForm;
  /** What stands before and behind the rows. Rows of 'batch' are objects, those of 'ofrep' arrays; commas between them. */
  readonly head: string;
  readonly tail: string;
  /** The whole reply. The bytes may be the kernel's own: send or copy them before returning. */
  readonly done: (reply: Uint8Array) => void;
  /** It makes more work than one request may (limits.requestConditionsMax): nothing was sent. */
  readonly tooMuchWork: () => void;
  /** Asked between slices; true: nobody waits any more, and the job ends without `done`. */
  readonly abandoned?: () => boolean;
}

export interface BinaryBatch {
  readonly plan: Plan;
  /** The users as in the frame, from the first length on; the caller's own copy or valid until `start` returns. */
  readonly users: Uint8Array;
  readonly userCount: number;
  readonly withAttributes: boolean;
  readonly packed: boolean;
  /** Writes the reply's 24 bytes of head. */
  readonly writeHead: (head: Uint8Array) => void;
  readonly done: (reply: Uint8Array) => void;
  /** `user`: which one is wrong; the message says what would be right. */
  readonly refused: (message: string, user: number) => void;
  readonly tooMuchWork: () => void;
  readonly abandoned?: () => boolean;
}

export interface Batches {
  /** contexts x flags must be within limits.batchEvaluationsMax: the caller has checked it with `plans.find(...)`. */
  json(batch: JsonBatch): Job;
  /** users x flags must be within limits.binaryEvaluationsMax. */
  binary(batch: BinaryBatch): Job;
}
