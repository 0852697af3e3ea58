// What handles are made of and may share: lists of flag_ids, and what each list is in one snapshot. Ten thousand clients
// that prepare the same flags hold one list, one plan, and one text that tells its variants.
import type { CompiledFlag } from '../../core/compiled.ts';
import { limits } from '../../limits.ts';
import type { Plan, Plans } from '../batch/plans.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from '../serving.ts';
import { listName } from './list-name.ts';

/** Flags of one environment that at least one handle was prepared for. */
export interface FlagList {
  readonly environment: string;
  readonly flagIds: readonly string[];
  /** By which an equal one is found. */
  readonly name: string;
  /** Roughly. */
  readonly bytes: number;
  handleCount: number;
  /** As they were last seen: while they stay equal they stay this object, which is then all that is compared. */
  variants: VariantLists | undefined;
}

/** The names of the variants of each flag of a list; of one that is unknown or archived, or out of sight, none. */
export type VariantLists = readonly (readonly string[])[];

/** A list of flags in one snapshot, as one key sees it. */
export interface View {
  readonly snapshot: ServingSnapshot;
  readonly plan: Plan;
  readonly tags: ServingKey['tags'];
  readonly variants: VariantLists;
  /** Of flags that the environment does not have. */
  readonly unknownIds: readonly string[];
  /** What `prepared` says of the flags; made when the first one is sent. */
  flagsJson: string | undefined;
}

export interface PreparedLists {
  /** The list that equals `flagIds`, for one more handle; undefined: this worker holds as many as it may. */
  take(environment: string, flagIds: readonly string[]): FlagList | undefined;
  /** A handle has ended. */
  giveBack(list: FlagList): void;
  /** @param snapshot the one that is served: others are not kept */
  view(list: FlagList, snapshot: ServingSnapshot, environment: ServingEnvironment, key: ServingKey): View;
  /** The snapshot was swapped: nothing of an older one is kept. */
  forgetViews(): void;
}

/** What a flag takes in a list beside its name, most of it in the plan's columns. */
const BYTES_PER_FLAG = 320;

export function createPreparedLists(plans: Plans): PreparedLists {
  const lists = new Map<string, FlagList>();
  let listBytes = 0;
  let views = new Map<FlagList, View>();

  return {
    take(environment, flagIds) {
      const text = `${environment} ${JSON.stringify(flagIds)}`;
      const name = listName(text);
      let list = lists.get(name);
      if (list === undefined) {
        const bytes = text.length + flagIds.length * BYTES_PER_FLAG;
        if (listBytes + bytes > limits.preparedListsBytesMax) return undefined;
        listBytes += bytes;
        list = { environment, flagIds, name, bytes, handleCount: 0, variants: undefined };
        lists.set(name, list);
      }
      list.handleCount += 1;
      return list;
    },
    giveBack(list) {
      list.handleCount -= 1;
      if (list.handleCount > 0) return;
      listBytes -= list.bytes;
      lists.delete(list.name);
      views.delete(list);
    },
    view(list, snapshot, environment, key) {
      const known = views.get(list);
      if (known?.snapshot === snapshot && known.plan.environment === environment && known.tags === key.tags)
        return known;
      const view = makeView(list, plans.find(environment, key, list.flagIds), snapshot, key);
      views.set(list, view);
      return view;
    },
    forgetViews() {
      if (views.size > 0) views = new Map();
    },
  };
}

function makeView(list: FlagList, plan: Plan, snapshot: ServingSnapshot, key: ServingKey): View {
  const unknownIds: string[] = [];
  const variants = plan.flags.map((flag, i) => {
    const flagId = plan.flagIds[i] as string;
    if (flag === undefined && !plan.environment.flags.has(flagId)) unknownIds.push(flagId);
    return variantsOf(flag);
  });
  if (list.variants === undefined || !areEqual(list.variants, variants)) list.variants = variants;
  return { snapshot, plan, tags: key.tags, variants: list.variants, unknownIds, flagsJson: undefined };
}

const NO_VARIANTS: readonly string[] = [];

function variantsOf(flag: CompiledFlag | undefined): readonly string[] {
  return flag === undefined ? NO_VARIANTS : flag.variants;
}

/** Whether both say the same of each flag. They are of one list. */
export function areEqual(some: VariantLists, others: VariantLists): boolean {
  if (some === others) return true;
  return some.every((variants, i) => {
    const other = others[i] as readonly string[];
    return variants === other || (variants.length === other.length && variants.every((name, at) => name === other[at]));
  });
}

/** The message that tells the variants of a handle; undefined: it would be too long. */
export function preparedMessage(id: number, handle: number, view: View): string | undefined {
  view.flagsJson ??= flagsJson(view);
  if (view.flagsJson === TOO_LONG) return undefined;
  return `{"type":"prepared","id":${id},"handle":${handle},"revision":${view.snapshot.revision},"flags":${view.flagsJson}}`;
}

const TOO_LONG = '';
/** Around a flag's name and its variants, and around each of these. */
const CHARS_PER_FLAG = 29;
const CHARS_PER_VARIANT = 3;

function flagsJson({ plan, variants }: View): string {
  let chars = 0;
  for (const [i, names] of variants.entries()) {
    chars += CHARS_PER_FLAG + (plan.flagIds[i] as string).length;
    for (const name of names) chars += CHARS_PER_VARIANT + name.length;
    // A flag may be named ten thousand times: what is not sent is not made either.
    if (chars > limits.preparedCharsMax) return TOO_LONG;
  }
  return JSON.stringify(variants.map((names, i) => ({ flag_id: plan.flagIds[i], variants: names })));
}
