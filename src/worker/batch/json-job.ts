// Hot path.
// A batch whose reply is JSON, row by row. Where it pays, the kernel decides what a bucket alone decides and assembles
// rows of prepared texts; else each cell is evaluated and told as a string. Both write the same bytes.
import type { EvaluationContext, Outcome } from '../../core/compiled.ts';
import { type Allowance, evaluate } from '../../core/evaluate.ts';
import type { Fragments } from '../../kernel/batch-fragments.ts';
import { isSpent, startAllowance } from '../routes/allowance.ts';
import type { BatchShared, JsonBatch } from './batches.ts';
import { EvaluatorCells, type Progress } from './evaluator-cells.ts';
import { fitsKernel, userBytesMax, writeUsers } from './kernel-users.ts';
import { cellJson, type Plan, unknownCellJson } from './plan.ts';
import type { ReplyBuffer } from './reply-buffer.ts';
import { Slice } from './slice.ts';
import type { Job } from './turns.ts';

const COMMA = 0x2c;
/** Of strings before they are made bytes. */
const TEXT_CHARS = 16_384;
/** Beyond what a reply is expected to have: its tail. */
const SPARE_BYTES = 1024;

export class JsonJob implements Job {
  private readonly shared: BatchShared;
  private readonly batch: JsonBatch;
  private readonly plan: Plan;
  private readonly allowance: Allowance = startAllowance();
  private readonly slice: Slice;
  private readonly open: number;
  private readonly close: number;
  /** undefined: by strings. */
  private fragments: Fragments | undefined;
  private cells: EvaluatorCells | undefined;
  private reply: ReplyBuffer;
  private hasBegun = false;
  /** The next row; with strings, its next column. */
  private row = 0;
  private column = 0;
  /** Rows in hand of the kernel's way; 0: none. */
  private chunkRows = 0;
  /** By strings: of a row, and of rows that are not bytes yet. */
  private text = '';

  constructor(shared: BatchShared, batch: JsonBatch, plan: Plan) {
    this.shared = shared;
    this.batch = batch;
    this.plan = plan;
    this.slice = new Slice(shared.now, shared.sliceMs);
    this.reply = shared.reply;
    const isObject = batch.form === 'batch';
    this.open = isObject ? 0x7b : 0x5b;
    this.close = isObject ? 0x7d : 0x5d;
  }

  step(): boolean {
    const { batch, allowance, slice, shared } = this;
    if (batch.abandoned?.() === true) return true;
    slice.begin(allowance);
    if (!this.hasBegun) this.begin();
    const rowCount = batch.contexts.length;
    while (this.row < rowCount) {
      const progress = this.fragments === undefined ? this.goOnByStrings() : this.goOnByKernel(this.fragments);
      if (progress === 'spent') {
        batch.tooMuchWork();
        return true;
      }
      if (this.row < rowCount && (progress === 'over' || slice.isOver())) {
        if (this.reply === shared.reply) this.takeOwnReply();
        return false;
      }
    }
    this.flush();
    this.reply.text(batch.tail);
    batch.done(this.reply.whole(), this.reply !== shared.reply);
    return true;
  }

  private begin(): void {
    const { batch, plan, shared } = this;
    this.hasBegun = true;
    this.reply.restart();
    this.reply.text(batch.head);
    if (plan.flags.length === 0 || plan.flags.length > shared.kernel.cellsMax) return;
    if (!plan.isWorthKernel(batch.contexts.length) || !canHashAll(batch.contexts)) return;
    this.fragments = plan.fragments(batch.form);
    if (this.fragments !== undefined && plan.columns.forEvaluator.length > 0)
      this.cells = new EvaluatorCells(plan, shared.hash, this.allowance);
  }

  /** The shared one is for others from now on. */
  private takeOwnReply(): void {
    this.flush();
    const { length } = this.reply;
    // The rows to come are taken to be as long as those that are there.
    const expected = this.row === 0 ? length * 2 : (length / this.row) * this.batch.contexts.length * 1.05;
    this.reply = this.reply.copy(Math.ceil(expected) + SPARE_BYTES);
  }

  private goOnByKernel(fragments: Fragments): Progress {
    if (this.chunkRows === 0) {
      this.chunkRows = this.countChunkRows();
      this.cells?.restart();
    }
    const { cells } = this;
    if (cells !== undefined) {
      const progress = this.evaluateChunk(cells);
      if (progress !== 'done') return progress;
    }
    this.assembleChunk(fragments, cells);
    return 'done';
  }

  private countChunkRows(): number {
    const { contexts } = this.batch;
    const { chunkCells, chunkBytes, kernel } = this.shared;
    const rowsMax = Math.max(1, Math.floor(chunkCells / this.plan.flags.length));
    const end = Math.min(contexts.length, this.row + Math.min(rowsMax, kernel.usersMax));
    let bytes = 0;
    let row = this.row;
    while (row < end) {
      bytes += userBytesMax((contexts[row] as EvaluationContext).userId);
      if (bytes > chunkBytes && row > this.row) break;
      row += 1;
    }
    return row - this.row;
  }

  private evaluateChunk(cells: EvaluatorCells): Progress {
    const { contexts } = this.batch;
    const width = this.plan.columns.forEvaluator.length;
    const cellCount = width * this.chunkRows;
    while (cells.outcomes.length < cellCount) {
      const i = Math.floor(cells.outcomes.length / width);
      const progress = cells.goOn(contexts[this.row + i] as EvaluationContext, (i + 1) * width, this.slice);
      if (progress !== 'done') return progress;
      if (cells.outcomes.length < cellCount && this.slice.isOver()) return 'over';
    }
    return 'done';
  }

  private assembleChunk(fragments: Fragments, cells: EvaluatorCells | undefined): void {
    const { kernel } = this.shared;
    const { columns } = this.plan;
    const rows = this.chunkRows;
    writeUsers(kernel, this.batch.contexts, this.row, rows);
    const decided = kernel.outcomes(columns, 0, rows);
    if (cells !== undefined) fillIn(decided, cells.outcomes, columns.forEvaluator, columns.count);
    this.chunkRows = 0;
    for (let first = 0; first < rows; ) {
      const bytes = kernel.assemble(fragments, first, rows - first, this.open, this.close);
      if (kernel.rowsWritten === 0) {
        // A row that is larger than the kernel's own room.
        this.fragments = undefined;
        return;
      }
      if (this.row > 0) this.reply.byte(COMMA);
      this.reply.append(bytes);
      first += kernel.rowsWritten;
      this.row += kernel.rowsWritten;
    }
  }

  private goOnByStrings(): Progress {
    const { plan, batch, allowance, slice, shared } = this;
    const { flags, flagIds, environment } = plan;
    const { form } = batch;
    const context = batch.contexts[this.row] as EvaluationContext;
    if (this.column === 0) this.text += (this.row > 0 ? ',' : '') + (form === 'batch' ? '{' : '[');
    let { text } = this;
    for (let column = this.column; column < flags.length; column += 1) {
      const flag = flags[column];
      if (column > 0) text += ',';
      if (flag === undefined) text += unknownCellJson(form, flagIds[column] as string);
      else text += cellJson(form, flag, evaluate(flag, context, environment, shared.hash, undefined, allowance));
      if (isSpent(allowance)) return 'spent';
      if (slice.isOverAfter(allowance) && column + 1 < flags.length) {
        this.text = text;
        this.column = column + 1;
        this.flush();
        return 'over';
      }
    }
    this.text = text + (form === 'batch' ? '}' : ']');
    this.column = 0;
    this.row += 1;
    if (this.text.length >= TEXT_CHARS) this.flush();
    return 'done';
  }

  private flush(): void {
    if (this.text === '') return;
    this.reply.text(this.text);
    this.text = '';
  }
}

function canHashAll(contexts: readonly EvaluationContext[]): boolean {
  for (let i = 0; i < contexts.length; i += 1) if (!fitsKernel((contexts[i] as EvaluationContext).userId)) return false;
  return true;
}

/** Puts the evaluator's answers into the cells of its columns. */
function fillIn(
  decided: Uint16Array,
  outcomes: readonly Outcome[],
  forEvaluator: Uint32Array,
  columnCount: number,
): void {
  let next = 0;
  for (let row = 0; next < outcomes.length; row += columnCount) {
    for (let i = 0; i < forEvaluator.length; i += 1)
      decided[row + (forEvaluator[i] as number)] = (outcomes[next++] as Outcome).index;
  }
}
