// Hot path.
// Some of a batch's flags, side by side, and what of them the kernel and the assembly of replies read. That takes as long
// to make as a few evaluations of each flag: a panel is what is made without a pause.
import type { CompiledFlag, Outcome } from '../../core/compiled.ts';
import { type Columns, makeColumns } from '../../kernel/batch-columns.ts';
import { type Fragments, makeFragments } from '../../kernel/batch-fragments.ts';
import { itemJson } from '../routes/ofrep-reply.ts';
import { jsonString } from '../routes/outcome-reply.ts';

/** How the cells of a JSON reply are told: as POST /evaluate and the socket do, or as OFREP does. */
export type ReplyForm = 'batch' | 'ofrep';

/** Whole bytes of a packed reply. */
export const PANEL_COLUMNS_MAX = 512;

/** Of all fragments of one panel: a quarter of what the kernel holds at once. */
const FRAGMENTS_BYTES_MAX = 2 * 1_048_576;

/** Of one row of a panel: the kernel assembles whole ones. A UTF-16 unit is at most three bytes. */
const ROW_CHARS_MAX = 262_144;

/** What the fragments of all plans of one environment may still take. */
export interface FragmentsBudget {
  bytesLeft: number;
}

export class Panel {
  /** Its first column among those of the plan. */
  readonly first: number;
  readonly flagIds: readonly string[];
  readonly flags: readonly (CompiledFlag | undefined)[];
  private readonly budget: FragmentsBudget;
  private budgetBytes = 0;
  private isReleased = false;
  private madeColumns: Columns | undefined;
  /** null: too large. */
  private batchFragments: Fragments | null | undefined;
  private ofrepFragments: Fragments | null | undefined;

  constructor(
    first: number,
    flagIds: readonly string[],
    flags: readonly (CompiledFlag | undefined)[],
    budget: FragmentsBudget,
  ) {
    this.first = first;
    this.flagIds = flagIds;
    this.flags = flags;
    this.budget = budget;
  }

  /** Made at the first use. */
  get columns(): Columns {
    this.madeColumns ??= makeColumns(this.flags);
    return this.madeColumns;
  }

  /** Made at the first use; undefined: too large, or a row would be. */
  fragments(form: ReplyForm): Fragments | undefined {
    if (form === 'ofrep') {
      if (this.ofrepFragments === undefined) this.ofrepFragments = this.make(form);
      return this.ofrepFragments ?? undefined;
    }
    if (this.batchFragments === undefined) this.batchFragments = this.make(form);
    return this.batchFragments ?? undefined;
  }

  /**
   * Nobody finds it any more: gives back what it has taken of the budget, and what that was for. A handle may keep the
   * plan as long as its socket lives; a job that still asks for fragments goes on by strings.
   */
  release(): void {
    this.budget.bytesLeft += this.budgetBytes;
    this.isReleased = true;
    this.batchFragments = null;
    this.ofrepFragments = null;
  }

  private make(form: ReplyForm): Fragments | null {
    if (this.isReleased) return null;
    const bytesMax = Math.min(FRAGMENTS_BYTES_MAX, this.budget.bytesLeft);
    const texts = textsOf(this, form, bytesMax);
    const fragments = texts === undefined ? undefined : makeFragments(texts, bytesMax);
    if (fragments === undefined) return null;
    this.budget.bytesLeft -= fragments.image.length;
    this.budgetBytes += fragments.image.length;
    return fragments;
  }
}

/** What one outcome of a flag adds to a row. */
export function cellJson(form: ReplyForm, flag: CompiledFlag, outcome: Outcome): string {
  return form === 'batch' ? jsonString(flag.flagId) + ':' + outcome.batchJson : itemJson(flag, outcome);
}

/** What a flag that does not exist, or that the key may not see, adds to a row. */
export function unknownCellJson(form: ReplyForm, flagId: string): string {
  return form === 'batch'
    ? jsonString(flagId) + ':{"error":"FLAG_NOT_FOUND"}'
    : '{"key":' + jsonString(flagId) + ',"errorCode":"FLAG_NOT_FOUND"}';
}

/** Cold: once a panel. undefined: too many, before all of them are made. */
function textsOf(panel: Panel, form: ReplyForm, bytesMax: number): readonly (readonly string[])[] | undefined {
  const { flags, flagIds } = panel;
  const { forEvaluator } = panel.columns;
  const texts: (readonly string[])[] = [];
  let evaluatorAt = 0;
  let charsLeft = bytesMax;
  let rowCharsLeft = ROW_CHARS_MAX;
  for (const [column, flag] of flags.entries()) {
    const isForEvaluator = forEvaluator[evaluatorAt] === column;
    if (isForEvaluator) evaluatorAt += 1;
    const own =
      flag === undefined
        ? [unknownCellJson(form, flagIds[column] as string)]
        : outcomeTexts(flag, form, isForEvaluator);
    let longest = 0;
    for (const { length } of own) {
      charsLeft -= length;
      longest = Math.max(longest, length);
    }
    rowCharsLeft -= longest + 1;
    if (charsLeft < 0 || rowCharsLeft < 0) return undefined;
    texts.push(own);
  }
  return texts;
}

/** Cold: once a panel. What the kernel cannot answer has no text. */
function outcomeTexts(flag: CompiledFlag, form: ReplyForm, isForEvaluator: boolean): readonly string[] {
  if (isForEvaluator) return flag.outcomes.map((outcome) => cellJson(form, flag, outcome));
  const texts = flag.outcomes.map(() => '');
  for (const outcome of servedByKernel(flag)) texts[outcome.index] = cellJson(form, flag, outcome);
  return texts;
}

function servedByKernel(flag: CompiledFlag): readonly Outcome[] {
  if (!flag.enabled) return [flag.disabled];
  return flag.split === undefined ? [flag.fixed as Outcome] : flag.split.outcomes;
}
