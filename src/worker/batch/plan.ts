// Hot path.
// The flags of one batch.
import type { CompiledFlag } from '../../core/compiled.ts';
import type { ServingEnvironment } from '../serving.ts';
import { type FragmentsBudget, PANEL_COLUMNS_MAX, Panel } from './panel.ts';

/** The flags of one batch in one environment of one snapshot. Shared by all who ask for the same. */
export interface Plan {
  readonly environment: ServingEnvironment;
  /** One a column, as asked; for all flags those that the key may see, in order of flag_id. */
  readonly flagIds: readonly string[];
  /** undefined: unknown, archived, or out of the key's sight. */
  readonly flags: readonly (CompiledFlag | undefined)[];
  /** Each flag once: this plan, or the one of its list without what is named again. A JSON object cannot repeat a name. */
  readonly distinct: Plan;
  /** The columns in order, at least one panel. */
  readonly panels: readonly Panel[];
  /** Whether what panels make at their first use pays for JSON of so many contexts, with all that have come before. */
  isWorthKernel(contextCount: number): boolean;
}

/** Contexts for which making columns and fragments costs as much as it saves (npm run bench:batches). */
const CONTEXTS_WORTH_KERNEL = 16;

export class FlagPlan implements Plan {
  readonly environment: ServingEnvironment;
  readonly flagIds: readonly string[];
  readonly flags: readonly (CompiledFlag | undefined)[];
  private readonly budget: FragmentsBudget;
  private madePanels: readonly Panel[] | undefined;
  private madeDistinct: FlagPlan | undefined;
  private contextCount = 0;
  private isReleased = false;

  constructor(
    environment: ServingEnvironment,
    flagIds: readonly string[],
    flags: readonly (CompiledFlag | undefined)[],
    budget: FragmentsBudget,
  ) {
    this.environment = environment;
    this.flagIds = flagIds;
    this.flags = flags;
    this.budget = budget;
  }

  get panels(): readonly Panel[] {
    if (this.madePanels === undefined) {
      this.madePanels = makePanels(this.flagIds, this.flags, this.budget);
      if (this.isReleased) releasePanels(this.madePanels);
    }
    return this.madePanels;
  }

  get distinct(): FlagPlan {
    if (this.madeDistinct === undefined) {
      this.madeDistinct = distinctOf(this, this.budget);
      if (this.isReleased && this.madeDistinct !== this) this.madeDistinct.release();
    }
    return this.madeDistinct;
  }

  isWorthKernel(contextCount: number): boolean {
    if (this.contextCount < CONTEXTS_WORTH_KERNEL) this.contextCount += contextCount;
    return this.contextCount >= CONTEXTS_WORTH_KERNEL;
  }

  /** Nobody finds it any more; whoever still has it may use it on, and what it makes then takes nothing of the budget. */
  release(): void {
    this.isReleased = true;
    if (this.madePanels !== undefined) releasePanels(this.madePanels);
    if (this.madeDistinct !== undefined && this.madeDistinct !== this) this.madeDistinct.release();
  }
}

function releasePanels(panels: readonly Panel[]): void {
  for (let i = 0; i < panels.length; i += 1) (panels[i] as Panel).release();
}

/** Cold: once a plan. */
function makePanels(
  flagIds: readonly string[],
  flags: readonly (CompiledFlag | undefined)[],
  budget: FragmentsBudget,
): readonly Panel[] {
  if (flags.length <= PANEL_COLUMNS_MAX) return [new Panel(0, flagIds, flags, budget)];
  const panels: Panel[] = [];
  for (let first = 0; first < flags.length; first += PANEL_COLUMNS_MAX) {
    const end = first + PANEL_COLUMNS_MAX;
    panels.push(new Panel(first, flagIds.slice(first, end), flags.slice(first, end), budget));
  }
  return panels;
}

/** Cold: once a plan. */
function distinctOf(plan: FlagPlan, budget: FragmentsBudget): FlagPlan {
  const { environment, flagIds, flags } = plan;
  const firstAt = new Map<string, number>();
  for (const [i, flagId] of flagIds.entries()) if (!firstAt.has(flagId)) firstAt.set(flagId, i);
  if (firstAt.size === flagIds.length) return plan;
  const distinctFlags = [...firstAt.values()].map((i) => flags[i]);
  return new FlagPlan(environment, [...firstAt.keys()], distinctFlags, budget);
}
