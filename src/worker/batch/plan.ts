// Hot path.
// The flags of one batch, and what of them the kernel and the assembly of replies read. That is made at its first use:
// it takes as long as a few evaluations of each flag, so that a list seen once is quicker without it.
import type { CompiledFlag, Outcome } from '../../core/compiled.ts';
import { type Columns, makeColumns } from '../../kernel/batch-columns.ts';
import { type Fragments, makeFragments } from '../../kernel/batch-fragments.ts';
import { itemJson } from '../routes/ofrep-reply.ts';
import { jsonString } from '../routes/outcome-reply.ts';
import type { ServingEnvironment } from '../serving.ts';

/** How the cells of a JSON reply are told: as POST /evaluate and the socket do, or as OFREP does. */
export type ReplyForm = 'batch' | 'ofrep';

/** The flags of one batch in one environment of one snapshot. Shared by all who ask for the same. */
export interface Plan {
  readonly environment: ServingEnvironment;
  /** One a column, as asked; for all flags those that the key may see, in order of flag_id. */
  readonly flagIds: readonly string[];
  /** undefined: unknown, archived, or out of the key's sight. */
  readonly flags: readonly (CompiledFlag | undefined)[];
  /** Each flag once: this plan, or the one of its list without what is named again. A JSON object cannot repeat a name. */
  readonly distinct: Plan;
  /** Made at the first use. */
  readonly columns: Columns;
  /** Made at the first use; undefined: too large, or a row would be. */
  fragments(form: ReplyForm): Fragments | undefined;
  /** Whether columns and fragments pay for a batch of so many contexts, with all that have come before. */
  isWorthKernel(contextCount: number): boolean;
}

/** Contexts for which making columns and fragments costs as much as it saves (npm run bench:batches). */
const CONTEXTS_WORTH_KERNEL = 16;

/** Of all fragments of one plan. Larger ones take milliseconds to make, and evict everything else from the kernel. */
const FRAGMENTS_BYTES_MAX = 4 * 1_048_576;

/** Of one row: the kernel assembles whole ones. */
const ROW_CHARS_MAX = 524_288;

/** Of any cell: `"a":{"error":"FLAG_NOT_FOUND"}`. */
const CELL_CHARS_MIN = 30;

/** What the fragments of all plans of one environment may still take. */
export interface FragmentsBudget {
  bytesLeft: number;
}

export class FlagPlan implements Plan {
  readonly environment: ServingEnvironment;
  readonly flagIds: readonly string[];
  readonly flags: readonly (CompiledFlag | undefined)[];
  private madeColumns: Columns | undefined;
  private madeDistinct: FlagPlan | undefined;
  private contextCount = 0;
  /** null: too large. */
  private batchFragments: Fragments | null | undefined;
  private ofrepFragments: Fragments | null | undefined;
  /** undefined: it is not kept any more, and what it makes is the business of whoever still has it. */
  private budget: FragmentsBudget | undefined;
  private budgetBytes = 0;

  constructor(
    environment: ServingEnvironment,
    flagIds: readonly string[],
    flags: readonly (CompiledFlag | undefined)[],
    budget: FragmentsBudget | undefined,
  ) {
    this.budget = budget;
    this.environment = environment;
    this.flagIds = flagIds;
    this.flags = flags;
  }

  get columns(): Columns {
    this.madeColumns ??= makeColumns(this.flags);
    return this.madeColumns;
  }

  get distinct(): FlagPlan {
    this.madeDistinct ??= distinctOf(this, this.budget);
    return this.madeDistinct;
  }

  isWorthKernel(contextCount: number): boolean {
    if (this.contextCount < CONTEXTS_WORTH_KERNEL) this.contextCount += contextCount;
    return this.contextCount >= CONTEXTS_WORTH_KERNEL;
  }

  fragments(form: ReplyForm): Fragments | undefined {
    if (form === 'ofrep') {
      if (this.ofrepFragments === undefined) this.ofrepFragments = this.make(form);
      return this.ofrepFragments ?? undefined;
    }
    if (this.batchFragments === undefined) this.batchFragments = this.make(form);
    return this.batchFragments ?? undefined;
  }

  /** It is not kept any more: gives back what it has taken of the budget. */
  release(): void {
    if (this.budget !== undefined) this.budget.bytesLeft += this.budgetBytes;
    this.budget = undefined;
    if (this.madeDistinct !== undefined && this.madeDistinct !== this) this.madeDistinct.release();
  }

  private make(form: ReplyForm): Fragments | null {
    const fragments = makePlanFragments(this, form, this.budget?.bytesLeft ?? FRAGMENTS_BYTES_MAX);
    if (fragments === undefined) return null;
    if (this.budget !== undefined) {
      this.budget.bytesLeft -= fragments.image.length;
      this.budgetBytes += fragments.image.length;
    }
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

/** Cold: once a plan. */
function distinctOf(plan: FlagPlan, budget: FragmentsBudget | undefined): FlagPlan {
  const { environment, flagIds, flags } = plan;
  const firstAt = new Map<string, number>();
  for (const [i, flagId] of flagIds.entries()) if (!firstAt.has(flagId)) firstAt.set(flagId, i);
  if (firstAt.size === flagIds.length) return plan;
  const distinctFlags = [...firstAt.values()].map((i) => flags[i]);
  return new FlagPlan(environment, [...firstAt.keys()], distinctFlags, budget);
}

/** Cold: once a plan. */
function makePlanFragments(plan: Plan, form: ReplyForm, bytesLeft: number): Fragments | undefined {
  const { flags, flagIds } = plan;
  if (flags.length * CELL_CHARS_MIN > ROW_CHARS_MAX) return undefined;
  const { forEvaluator } = plan.columns;
  const texts: string[][] = [];
  let evaluatorAt = 0;
  const bytesMax = Math.min(FRAGMENTS_BYTES_MAX, bytesLeft);
  let charsLeft = bytesMax;
  let rowCharsLeft = ROW_CHARS_MAX;
  for (const [column, flag] of flags.entries()) {
    const isForEvaluator = forEvaluator[evaluatorAt] === column;
    if (isForEvaluator) evaluatorAt += 1;
    const own =
      flag === undefined ? [unknownCellJson(form, flagIds[column] as string)] : textsOf(flag, form, isForEvaluator);
    let longest = 0;
    for (const { length } of own) {
      charsLeft -= length;
      longest = Math.max(longest, length);
    }
    rowCharsLeft -= longest + 1;
    if (charsLeft < 0 || rowCharsLeft < 0) return undefined;
    texts.push(own);
  }
  return makeFragments(texts, bytesMax);
}

/** Cold: once a plan. What the kernel cannot answer has no text. */
function textsOf(flag: CompiledFlag, form: ReplyForm, isForEvaluator: boolean): string[] {
  if (isForEvaluator) return flag.outcomes.map((outcome) => cellJson(form, flag, outcome));
  const texts = flag.outcomes.map(() => '');
  for (const outcome of servedByKernel(flag)) texts[outcome.index] = cellJson(form, flag, outcome);
  return texts;
}

function servedByKernel(flag: CompiledFlag): readonly Outcome[] {
  if (!flag.enabled) return [flag.disabled];
  return flag.split === undefined ? [flag.fixed as Outcome] : flag.split.outcomes;
}
