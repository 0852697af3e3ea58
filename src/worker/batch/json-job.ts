// Hot path.
// A batch whose reply is JSON, row by row. Where it pays, the kernel decides what a bucket alone decides and assembles
// rows of prepared texts; else each cell is evaluated and told as a string. Both write the same bytes.
import type { EvaluationContext, Outcome } from '../../core/compiled.ts';
import { type Allowance, evaluate } from '../../core/evaluate.ts';
import type { Columns } from '../../kernel/batch-columns.ts';
import type { Fragments } from '../../kernel/batch-fragments.ts';
import { isSpent, startAllowance } from '../routes/allowance.ts';
import type { BatchShared, JsonBatch } from './batches.ts';
import { EvaluatorCells, type Progress } from './evaluator-cells.ts';
import { fitsKernel, userBytesMax, writeUsers } from './kernel-users.ts';
import { cellJson, type Panel, unknownCellJson } from './panel.ts';
import type { Plan } from './plan.ts';
import type { ReplyBuffer } from './reply-buffer.ts';
import { Slice } from './slice.ts';
import type { Job } from './turns.ts';

const COMMA = 0x2c;
/** Of strings before they are made bytes. */
const TEXT_CHARS = 16_384;
/** Of a cell whose value is short. Chunks of longer ones have fewer rows, for what takes long there is copying. */
const CELL_BYTES = 128;
/** Beyond what a reply is expected to have: its tail. */
const SPARE_BYTES = 1024;

export class JsonJob implements Job {
  private readonly shared: BatchShared;
  private readonly batch: JsonBatch;
  private readonly plan: Plan;
  readonly weight: number;
  private readonly allowance: Allowance = startAllowance();
  private readonly slice: Slice;
  private readonly open: string;
  private readonly close: string;
  private reply: ReplyBuffer;
  private hasBegun = false;
  /** False: by strings. */
  private usesKernel = false;
  private cells: EvaluatorCells | undefined;
  /** What comes next: a row, of it a panel, of that a column. Only strings stop within a panel. */
  private row = 0;
  private panel = 0;
  private column = 0;
  /** Rows in hand of the kernel's way; 0: none. */
  private chunkRows = 0;
  /** Not bytes yet. */
  private text = '';

  constructor(shared: BatchShared, batch: JsonBatch) {
    this.shared = shared;
    this.batch = batch;
    this.plan = batch.plan.distinct;
    this.weight = this.plan.flagIds.length * batch.contexts.length;
    this.slice = new Slice(shared.now, shared.sliceMs);
    this.reply = shared.reply;
    const isObject = batch.form === 'batch';
    this.open = isObject ? '{' : '[';
    this.close = isObject ? '}' : ']';
  }

  step(): boolean {
    const { batch, slice, shared } = this;
    if (batch.abandoned?.() === true) return true;
    slice.begin(this.allowance);
    if (!this.hasBegun) this.begin();
    const rowCount = batch.contexts.length;
    while (this.row < rowCount) {
      const progress = this.goOn();
      if (progress === 'spent') {
        batch.tooMuchWork();
        return true;
      }
      // A UTF-16 unit is at least one byte.
      if (this.reply.length + this.text.length > batch.replyBytesMax) {
        batch.tooLarge();
        return true;
      }
      if (this.row < rowCount && (progress === 'over' || slice.isOver())) {
        if (this.reply === shared.reply) this.takeOwnReply();
        return false;
      }
    }
    this.text += batch.tail;
    this.flush();
    if (this.reply.length > batch.replyBytesMax) batch.tooLarge();
    else batch.done(this.reply.whole(), this.reply !== shared.reply);
    return true;
  }

  private begin(): void {
    const { batch, plan } = this;
    this.hasBegun = true;
    this.reply.restart();
    this.reply.text(batch.head);
    this.usesKernel = plan.flags.length > 0 && plan.isWorthKernel(batch.contexts.length) && canHashAll(batch.contexts);
  }

  /** The shared one is for others from now on. */
  private takeOwnReply(): void {
    this.flush();
    const { length } = this.reply;
    // The rows to come are taken to be as long as those that are there.
    const expected = this.row === 0 ? length * 2 : (length / this.row) * this.batch.contexts.length * 1.05;
    this.reply = this.reply.copy(Math.ceil(Math.min(expected, this.batch.replyBytesMax)) + SPARE_BYTES);
  }

  private goOn(): Progress {
    const panel = this.plan.panels[this.panel] as Panel;
    const fragments = this.usesKernel ? panel.fragments(this.batch.form) : undefined;
    if (fragments === undefined) return this.goOnByStrings(panel);
    if (this.chunkRows === 0) {
      this.chunkRows = this.plan.panels.length === 1 ? this.countChunkRows(fragments) : 1;
      this.cells?.restart();
    }
    const { forEvaluator } = panel.columns;
    if (forEvaluator.length > 0) {
      this.cells ??= new EvaluatorCells(this.plan.environment, this.shared.hash, this.allowance);
      const progress = this.evaluateChunk(panel, this.cells);
      if (progress !== 'done') return progress;
    }
    this.assembleChunk(panel, fragments);
    return 'done';
  }

  private countChunkRows(fragments: Fragments): number {
    const { contexts } = this.batch;
    const { chunkCells, chunkBytes, kernel } = this.shared;
    const perRow = Math.max(1, this.plan.flags.length, fragments.rowBytesMax / CELL_BYTES);
    const rowsMax = Math.max(1, Math.floor(chunkCells / perRow));
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

  private evaluateChunk(panel: Panel, cells: EvaluatorCells): Progress {
    const { contexts } = this.batch;
    const width = panel.columns.forEvaluator.length;
    while (cells.outcomes.length < width * this.chunkRows) {
      const row = Math.floor(cells.outcomes.length / width);
      const progress = cells.goOn(panel, contexts[this.row + row] as EvaluationContext, row, this.slice);
      if (progress !== 'done') return progress;
      if (row + 1 < this.chunkRows && this.slice.isOver()) return 'over';
    }
    return 'done';
  }

  private assembleChunk(panel: Panel, fragments: Fragments): void {
    const { kernel } = this.shared;
    const { columns } = panel;
    const rows = this.chunkRows;
    this.chunkRows = 0;
    writeUsers(kernel, this.batch.contexts, this.row, rows);
    const decided = kernel.outcomes(columns, 0, rows);
    if (columns.forEvaluator.length > 0) fillIn(decided, (this.cells as EvaluatorCells).outcomes, columns);
    if (this.plan.panels.length > 1) {
      const bytes = this.assemble(fragments, 0, 1);
      this.beginPanel();
      this.flush();
      // Without the brackets: the row goes on.
      this.reply.append(bytes.subarray(1, -1));
      this.endPanel();
      return;
    }
    for (let first = 0; first < rows; first += kernel.rowsWritten) {
      const bytes = this.assemble(fragments, first, rows - first);
      if (this.row > 0) this.reply.byte(COMMA);
      this.reply.append(bytes);
      this.row += kernel.rowsWritten;
    }
  }

  private assemble(fragments: Fragments, first: number, rows: number): Uint8Array {
    const { kernel } = this.shared;
    const bytes = kernel.assemble(fragments, first, rows, this.open.charCodeAt(0), this.close.charCodeAt(0));
    if (kernel.rowsWritten === 0) throw new Error('a row of a panel is larger than the kernel has room for');
    return bytes;
  }

  private goOnByStrings(panel: Panel): Progress {
    const { allowance, slice, shared } = this;
    const { flags, flagIds } = panel;
    const { environment } = this.plan;
    const { form, contexts, replyBytesMax } = this.batch;
    const context = contexts[this.row] as EvaluationContext;
    if (this.column === 0) this.beginPanel();
    let { text } = this;
    for (let column = this.column; column < flags.length; column += 1) {
      const flag = flags[column];
      if (column > 0) text += ',';
      if (flag === undefined) text += unknownCellJson(form, flagIds[column] as string);
      else text += cellJson(form, flag, evaluate(flag, context, environment, shared.hash, undefined, allowance));
      if (isSpent(allowance)) return 'spent';
      let isOver = slice.isOverAfter(allowance);
      if (text.length >= TEXT_CHARS) {
        // Long values take their time without the evaluator having looked at much.
        this.text = text;
        this.flush();
        text = '';
        isOver = this.reply.length > replyBytesMax || slice.isOver();
      }
      if (isOver && column + 1 < flags.length) {
        this.text = text;
        this.column = column + 1;
        this.flush();
        return 'over';
      }
    }
    this.text = text;
    this.column = 0;
    this.endPanel();
    if (this.text.length >= TEXT_CHARS) this.flush();
    return 'done';
  }

  private beginPanel(): void {
    if (this.panel > 0) this.text += ',';
    else this.text += this.row > 0 ? ',' + this.open : this.open;
  }

  private endPanel(): void {
    this.panel += 1;
    if (this.panel < this.plan.panels.length) return;
    this.text += this.close;
    this.panel = 0;
    this.row += 1;
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
function fillIn(decided: Uint16Array, outcomes: readonly Outcome[], { forEvaluator, count }: Columns): void {
  let next = 0;
  for (let row = 0; next < outcomes.length; row += count) {
    for (let i = 0; i < forEvaluator.length; i += 1)
      decided[row + (forEvaluator[i] as number)] = (outcomes[next++] as Outcome).index;
  }
}
