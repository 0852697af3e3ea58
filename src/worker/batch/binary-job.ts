// Hot path.
// A batch whose reply is a byte or a bit a cell. Users go from the frame into the kernel's memory as they are, and become
// strings only where the evaluator has to look at them. A reply that is whole after one call is sent from there.
import type { EvaluationContext, Outcome } from '../../core/compiled.ts';
import type { Allowance } from '../../core/evaluate.ts';
import type { JsonObject } from '../../core/model.ts';
import { HEAD_BYTES } from '../../kernel/batch-kernel.ts';
import { limits } from '../../limits.ts';
import { readAttributesJson } from '../http/body.ts';
import { isRefusal } from '../http/refusal.ts';
import { startAllowance } from '../routes/allowance.ts';
import type { BatchShared, BinaryBatch } from './batches.ts';
import { EvaluatorCells, type Progress } from './evaluator-cells.ts';
import { Slice } from './slice.ts';
import type { Job } from './turns.ts';

const LENGTH_BYTES = 2;
const ATTRIBUTES_LENGTH_BYTES = 4;

/** `refused`: whoever waits was told. */
type BinaryProgress = Progress | 'refused';

interface MutableContext extends EvaluationContext {
  userId: string;
  attributes: JsonObject | undefined;
}

export class BinaryJob implements Job {
  private readonly shared: BatchShared;
  private readonly batch: BinaryBatch;
  private readonly allowance: Allowance = startAllowance();
  private readonly slice: Slice;
  private readonly rowBytes: number;
  private readonly context: MutableContext = { userId: '', attributes: undefined };
  private users: Buffer;
  private hasBegun = false;
  private cells: EvaluatorCells | undefined;
  /** Where each user begins in `users`, and behind the last one its end; empty when one call answers all. */
  private starts: Uint32Array = NO_STARTS;
  /** Users from here on are in the kernel as they were scanned, so many; 0: none. */
  private loadedFirst = 0;
  private loadedCount = 0;
  private row = 0;
  /** Rows in hand; 0: none. */
  private chunkRows = 0;
  /** Of them, those whose attributes are read and whose cells the evaluator has decided. */
  private readRows = 0;
  private isRowRead = false;
  /** Of many calls; undefined: one is enough, or none was made yet. */
  private reply: Uint8Array | undefined;

  constructor(shared: BatchShared, batch: BinaryBatch) {
    const { users, plan, packed } = batch;
    this.shared = shared;
    this.batch = batch;
    this.slice = new Slice(shared.now, shared.sliceMs);
    this.users = Buffer.from(users.buffer, users.byteOffset, users.byteLength);
    this.rowBytes = packed ? (plan.flags.length + 7) >> 3 : plan.flags.length;
  }

  wait(): void {
    this.users = Buffer.from(this.users);
  }

  step(): boolean {
    const { batch, slice, allowance } = this;
    if (batch.abandoned?.() === true) return true;
    slice.begin(allowance);
    this.loadedCount = 0;
    if (!this.hasBegun && !this.begin()) return true;
    while (this.row < batch.userCount) {
      const progress = this.goOn();
      if (progress === 'spent') batch.tooMuchWork();
      if (progress === 'spent' || progress === 'refused') return true;
      if (this.row < batch.userCount && (progress === 'over' || slice.isOver())) return false;
    }
    if (this.reply !== undefined) batch.done(this.reply, true);
    return true;
  }

  /** False: the frame cannot be read, and whoever waits was told. */
  private begin(): boolean {
    const { batch, users, shared } = this;
    const { plan, userCount, withAttributes } = batch;
    const { kernel } = shared;
    this.hasBegun = true;
    if (users.length > kernel.users.length || userCount > kernel.usersMax) {
      batch.refused(`users must be at most ${kernel.usersMax}, in ${kernel.users.length} bytes`, 0, false);
      return false;
    }
    kernel.users.set(users);
    const bytes = kernel.scan(users.length, userCount, withAttributes);
    if (bytes < 0) {
      const user = kernel.problemUser;
      batch.refused(problemText(kernel.problem, user), user, kernel.problem === 'truncated');
      return false;
    }
    if (bytes < users.length) {
      batch.refused(`${users.length - bytes} bytes follow the last of ${userCount} users`, userCount, true);
      return false;
    }
    this.loadedFirst = 0;
    this.loadedCount = userCount;
    const needsEvaluator = plan.columns.forEvaluator.length > 0;
    if (needsEvaluator) this.cells = new EvaluatorCells(plan, shared.hash, this.allowance);
    const isOneCall =
      userCount > 0 && this.rowBytes > 0 && userCount <= this.rowsMax() && users.length <= shared.chunkBytes;
    if (!isOneCall || needsEvaluator || withAttributes) this.starts = this.findStarts();
    if (!isOneCall) {
      this.reply = new Uint8Array(HEAD_BYTES + userCount * this.rowBytes);
      batch.writeHead(this.reply.subarray(0, HEAD_BYTES));
    }
    return true;
  }

  private rowsMax(): number {
    const { chunkCells } = this.shared;
    return Math.max(1, Math.floor(chunkCells / Math.max(1, this.paddedCells())));
  }

  /** As the kernel counts them. */
  private paddedCells(): number {
    return this.batch.packed ? this.rowBytes * 8 : this.rowBytes;
  }

  private findStarts(): Uint32Array {
    const { kernel } = this.shared;
    const { userCount } = this.batch;
    const starts = new Uint32Array(userCount + 1);
    for (let user = 0; user < userCount; user += 1) starts[user] = kernel.userAt(user) - LENGTH_BYTES;
    starts[userCount] = this.users.length;
    return starts;
  }

  private goOn(): BinaryProgress {
    if (this.chunkRows === 0) {
      this.chunkRows = this.countChunkRows();
      this.readRows = 0;
      this.cells?.restart();
    }
    if (this.cells !== undefined || this.batch.withAttributes) {
      const progress = this.evaluateChunk();
      if (progress !== 'done') return progress;
    }
    this.decideChunk();
    return 'done';
  }

  private countChunkRows(): number {
    const { userCount } = this.batch;
    if (this.reply === undefined) return userCount;
    const { starts } = this;
    const end = Math.min(userCount, this.row + this.rowsMax());
    const bytesEnd = (starts[this.row] as number) + this.shared.chunkBytes;
    let row = this.row + 1;
    while (row < end && (starts[row + 1] as number) <= bytesEnd) row += 1;
    return row - this.row;
  }

  /** Reads the users of the rows in hand, and has the evaluator decide its columns. */
  private evaluateChunk(): BinaryProgress {
    const { cells, slice, batch } = this;
    const width = cells === undefined ? 0 : batch.plan.columns.forEvaluator.length;
    while (this.readRows < this.chunkRows) {
      if (!this.isRowRead && !this.readRow(this.row + this.readRows, cells !== undefined)) return 'refused';
      this.isRowRead = true;
      const progress = cells === undefined ? 'done' : cells.goOn(this.context, (this.readRows + 1) * width, slice);
      if (progress !== 'done') return progress;
      this.isRowRead = false;
      this.readRows += 1;
      if (this.readRows < this.chunkRows && slice.isOver()) return 'over';
    }
    return 'done';
  }

  /** False: its attributes are refused. */
  private readRow(user: number, isEvaluated: boolean): boolean {
    const { users, starts, context, batch } = this;
    const at = (starts[user] as number) + LENGTH_BYTES;
    const end = at + users.readUInt16LE(at - LENGTH_BYTES);
    if (isEvaluated) context.userId = users.toString('utf8', at, end);
    if (!batch.withAttributes) return true;
    const attributesAt = end + ATTRIBUTES_LENGTH_BYTES;
    const attributes = users.subarray(attributesAt, attributesAt + users.readUInt32LE(end));
    const read = readAttributesJson(attributes, `users[${user}].attributes`);
    if (isRefusal(read)) {
      batch.refused(read.detail, user, false);
      return false;
    }
    context.attributes = read.value;
    return true;
  }

  private decideChunk(): void {
    const { batch, cells, reply, rowBytes } = this;
    const rows = this.chunkRows;
    const { columns } = batch.plan;
    const { kernel } = this.shared;
    const first = this.row;
    this.chunkRows = 0;
    this.row += rows;
    if (rowBytes === 0) return;
    const at = this.load(first, rows);
    const decided = batch.packed ? kernel.packed(columns, at, rows) : kernel.variants(columns, at, rows);
    if (cells !== undefined) {
      if (batch.packed) fillInBits(decided, cells.outcomes, columns.forEvaluator, rowBytes);
      else fillIn(decided, cells.outcomes, columns.forEvaluator, rowBytes);
    }
    if (reply !== undefined) {
      reply.set(decided, HEAD_BYTES + first * rowBytes);
      return;
    }
    const whole = new Uint8Array(decided.buffer, decided.byteOffset - HEAD_BYTES, HEAD_BYTES + decided.length);
    batch.writeHead(whole.subarray(0, HEAD_BYTES));
    batch.done(whole, false);
  }

  /** Sees to it that these users are in the kernel, others having used it between two slices. Which of its users is the first. */
  private load(first: number, rows: number): number {
    if (first >= this.loadedFirst && first + rows <= this.loadedFirst + this.loadedCount)
      return first - this.loadedFirst;
    const { kernel } = this.shared;
    const { starts, users, batch } = this;
    const from = starts.length === 0 ? 0 : (starts[first] as number);
    const to = starts.length === 0 ? users.length : (starts[first + rows] as number);
    kernel.users.set(users.subarray(from, to));
    if (kernel.scan(to - from, rows, batch.withAttributes) !== to - from) throw new Error('users have changed');
    this.loadedFirst = first;
    this.loadedCount = rows;
    return 0;
  }
}

const NO_STARTS = new Uint32Array(0);

function problemText(problem: 'truncated' | 'empty' | 'not-utf8', user: number): string {
  if (problem === 'truncated') return `the frame ends within users[${user}]`;
  if (problem === 'empty') return `users[${user}] is empty; a user has 1 to ${limits.userIdBytesMax} bytes`;
  return `users[${user}] is not UTF-8`;
}

function fillIn(decided: Uint8Array, outcomes: readonly Outcome[], forEvaluator: Uint32Array, rowBytes: number): void {
  let next = 0;
  for (let row = 0; next < outcomes.length; row += rowBytes) {
    for (let i = 0; i < forEvaluator.length; i += 1)
      decided[row + (forEvaluator[i] as number)] = (outcomes[next++] as Outcome).variantIndex;
  }
}

/** The kernel leaves 0 there. */
function fillInBits(
  decided: Uint8Array,
  outcomes: readonly Outcome[],
  forEvaluator: Uint32Array,
  rowBytes: number,
): void {
  let next = 0;
  for (let row = 0; next < outcomes.length; row += rowBytes) {
    for (let i = 0; i < forEvaluator.length; i += 1) {
      if (!(outcomes[next++] as Outcome).enabled) continue;
      const column = forEvaluator[i] as number;
      const at = row + (column >> 3);
      decided[at] = (decided[at] as number) | (1 << (column & 7));
    }
  }
}
