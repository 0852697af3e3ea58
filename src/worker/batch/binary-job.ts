// Hot path.
// A batch whose reply is a byte or a bit a cell. Users go from the frame into the kernel's memory as they are, and become
// strings only where the evaluator has to look at them. A reply that is whole after one call is sent from there.
import type { EvaluationContext, Outcome } from '../../core/compiled.ts';
import type { Allowance } from '../../core/evaluate.ts';
import type { JsonObject } from '../../core/model.ts';
import type { Columns } from '../../kernel/batch-columns.ts';
import { HEAD_BYTES } from '../../kernel/batch-kernel.ts';
import { limits } from '../../limits.ts';
import { readAttributesJson } from '../http/body.ts';
import { isRefusal } from '../http/refusal.ts';
import { startAllowance } from '../routes/allowance.ts';
import type { BatchShared, BinaryBatch } from './batches.ts';
import { EvaluatorCells, type Progress } from './evaluator-cells.ts';
import type { Panel } from './panel.ts';
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
  /** Rows in hand, which go through one panel after another; 0: none. */
  private chunkRows = 0;
  private panel = 0;
  /** Rows in hand whose cells of this panel the evaluator has decided. */
  private decidedRows = 0;
  /** Whose user and attributes `context` has. */
  private contextRow = -1;
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
      batch.refused(`users must be at most ${kernel.usersMax}, in ${kernel.users.length} bytes`);
      return false;
    }
    kernel.users.set(users);
    const bytes = kernel.scan(users.length, userCount, withAttributes);
    if (bytes < 0) {
      batch.refused(problemText(kernel.problem, kernel.problemUser));
      return false;
    }
    if (bytes < users.length) {
      batch.refused(`${users.length - bytes} bytes follow the last of ${userCount} users`);
      return false;
    }
    this.loadedFirst = 0;
    this.loadedCount = userCount;
    const isOneCall =
      plan.panels.length === 1 &&
      userCount > 0 &&
      this.rowBytes > 0 &&
      userCount <= this.rowsMax() &&
      users.length <= shared.chunkBytes;
    const needsEvaluator = (plan.panels[0] as Panel).columns.forEvaluator.length > 0;
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
    const { batch } = this;
    const panel = batch.plan.panels[this.panel] as Panel;
    if (this.chunkRows === 0) this.chunkRows = this.countChunkRows();
    const needsEvaluator = panel.columns.forEvaluator.length > 0;
    if (needsEvaluator || (batch.withAttributes && this.panel === 0)) {
      const progress = this.evaluateChunk(panel, needsEvaluator);
      if (progress !== 'done') return progress;
    }
    if (this.rowBytes > 0) this.decideChunk(panel);
    this.decidedRows = 0;
    this.cells?.restart();
    this.panel += 1;
    if (this.panel < batch.plan.panels.length) return 'done';
    this.panel = 0;
    this.row += this.chunkRows;
    this.chunkRows = 0;
    return 'done';
  }

  private countChunkRows(): number {
    const { userCount, plan, withAttributes } = this.batch;
    if (this.reply === undefined) return userCount;
    // Attributes are read once, however many panels there are.
    if (withAttributes && plan.panels.length > 1) return 1;
    const { starts } = this;
    const end = Math.min(userCount, this.row + this.rowsMax());
    const bytesEnd = (starts[this.row] as number) + this.shared.chunkBytes;
    let row = this.row + 1;
    while (row < end && (starts[row + 1] as number) <= bytesEnd) row += 1;
    return row - this.row;
  }

  /** Reads the users of the rows in hand, and has the evaluator decide its columns of the panel. */
  private evaluateChunk(panel: Panel, needsEvaluator: boolean): BinaryProgress {
    const { slice, batch, shared } = this;
    if (needsEvaluator) this.cells ??= new EvaluatorCells(batch.plan.environment, shared.hash, this.allowance);
    while (this.decidedRows < this.chunkRows) {
      const user = this.row + this.decidedRows;
      if (user !== this.contextRow && !this.readRow(user)) return 'refused';
      if (needsEvaluator) {
        const cells = this.cells as EvaluatorCells;
        const progress = cells.goOn(panel, this.context, this.decidedRows, slice);
        if (progress !== 'done') return progress;
      }
      this.decidedRows += 1;
      if (this.decidedRows < this.chunkRows && slice.isOver()) return 'over';
    }
    return 'done';
  }

  /** False: its attributes are refused. */
  private readRow(user: number): boolean {
    const { users, starts, context, batch } = this;
    const at = (starts[user] as number) + LENGTH_BYTES;
    const end = at + users.readUInt16LE(at - LENGTH_BYTES);
    context.userId = users.toString('utf8', at, end);
    this.contextRow = user;
    if (!batch.withAttributes) return true;
    const attributesAt = end + ATTRIBUTES_LENGTH_BYTES;
    const attributes = users.subarray(attributesAt, attributesAt + users.readUInt32LE(end));
    const read = readAttributesJson(attributes, `users[${user}].attributes`);
    if (isRefusal(read)) {
      batch.refused(read.detail);
      return false;
    }
    context.attributes = read.value;
    return true;
  }

  private decideChunk(panel: Panel): void {
    const { batch, reply, rowBytes, row } = this;
    const { columns } = panel;
    const { kernel } = this.shared;
    const rows = this.chunkRows;
    const at = this.load(row, rows);
    const decided = batch.packed ? kernel.packed(columns, at, rows) : kernel.variants(columns, at, rows);
    if (columns.forEvaluator.length > 0) {
      const { outcomes } = this.cells as EvaluatorCells;
      if (batch.packed) fillInBits(decided, outcomes, columns);
      else fillIn(decided, outcomes, columns);
    }
    if (reply === undefined) {
      const whole = new Uint8Array(decided.buffer, decided.byteOffset - HEAD_BYTES, HEAD_BYTES + decided.length);
      batch.writeHead(whole.subarray(0, HEAD_BYTES));
      batch.done(whole, false);
    } else if (batch.plan.panels.length === 1) reply.set(decided, HEAD_BYTES + row * rowBytes);
    else {
      const bytes = decided.length / rows;
      const first = HEAD_BYTES + row * rowBytes + (batch.packed ? panel.first >> 3 : panel.first);
      for (let i = 0; i < rows; i += 1) reply.set(decided.subarray(i * bytes, (i + 1) * bytes), first + i * rowBytes);
    }
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

function fillIn(decided: Uint8Array, outcomes: readonly Outcome[], { forEvaluator, count }: Columns): void {
  let next = 0;
  for (let row = 0; next < outcomes.length; row += count) {
    for (let i = 0; i < forEvaluator.length; i += 1)
      decided[row + (forEvaluator[i] as number)] = (outcomes[next++] as Outcome).variantIndex;
  }
}

/** The kernel leaves 0 there. */
function fillInBits(decided: Uint8Array, outcomes: readonly Outcome[], { forEvaluator, count }: Columns): void {
  const rowBytes = (count + 7) >> 3;
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
