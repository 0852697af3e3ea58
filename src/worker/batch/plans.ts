// Hot path.
// Which flags a batch is about, as columns in a fixed order. Clients ask for the same lists again and again: what was
// made for one is kept with the environment it was made from, and goes with it when a new snapshot is served.
import type { CompiledFlag } from '../../core/compiled.ts';
import { limits } from '../../limits.ts';
import { isVisible } from '../routes/lookup.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';
import type { FragmentsBudget } from './panel.ts';
import { FlagPlan, type Plan } from './plan.ts';

export type { Plan } from './plan.ts';

export interface Plans {
  /** @param flagIds undefined: all. One named twice has two columns. */
  find(environment: ServingEnvironment, key: ServingKey, flagIds: readonly string[] | undefined): Plan;
}

/** What a key may see: keys with the same tags share their plans. */
interface Sight {
  /** The tags in order, as JSON; empty: everything. */
  readonly tags: string;
  readonly hash: number;
}

interface KeptPlan {
  readonly plan: FlagPlan;
  readonly sight: Sight;
  readonly isAll: boolean;
  /** Asked for since it was last looked at for eviction. */
  isRecent: boolean;
}

interface EnvironmentPlans {
  /** Of keys without tags: nearly all. */
  all: FlagPlan | undefined;
  /** By a hash of what was asked; the oldest first. */
  readonly kept: Map<number, KeptPlan>;
  columnCount: number;
  readonly budget: FragmentsBudget;
}

/** Of a flag_id (core/names.ts). */
const FLAG_ID_CHARS_MAX = 128;

const EVERYTHING: Sight = { tags: '', hash: 0 };
const ALL_HASH = 0x5bd1e995;

export function createPlans(): Plans {
  const byEnvironment = new WeakMap<ServingEnvironment, EnvironmentPlans>();
  const sights = new WeakMap<ReadonlySet<string>, Sight>();

  function plansOf(environment: ServingEnvironment): EnvironmentPlans {
    let own = byEnvironment.get(environment);
    if (own === undefined) {
      own = {
        all: undefined,
        kept: new Map(),
        columnCount: 0,
        budget: { bytesLeft: limits.planFragmentsBytesMax },
      };
      byEnvironment.set(environment, own);
    }
    return own;
  }

  function sightOf({ tags }: ServingKey): Sight {
    if (tags === undefined) return EVERYTHING;
    let sight = sights.get(tags);
    if (sight === undefined) {
      sight = makeSight(tags);
      sights.set(tags, sight);
    }
    return sight;
  }

  return {
    find(environment, key, flagIds) {
      const own = plansOf(environment);
      const sight = sightOf(key);
      if (flagIds === undefined && sight === EVERYTHING) {
        own.all ??= planOfAll(environment, key, own.budget);
        return own.all;
      }
      const hash = flagIds === undefined ? ALL_HASH ^ sight.hash : hashIds(flagIds) ^ sight.hash;
      const known = own.kept.get(hash);
      if (known !== undefined && isFor(known, sight, flagIds)) {
        known.isRecent = true;
        return known.plan;
      }
      const plan =
        flagIds === undefined
          ? planOfAll(environment, key, own.budget)
          : planOfList(environment, key, flagIds, own.budget);
      keep(own, hash, { plan, sight, isAll: flagIds === undefined, isRecent: false });
      return plan;
    },
  };
}

/** Hashes collide, by chance or on purpose: a plan serves only who asked for exactly its flags. */
function isFor({ plan, sight, isAll }: KeptPlan, asking: Sight, flagIds: readonly string[] | undefined): boolean {
  if (sight !== asking && sight.tags !== asking.tags) return false;
  if (flagIds === undefined) return isAll;
  const own = plan.flagIds;
  if (isAll || own.length !== flagIds.length) return false;
  for (let i = 0; i < own.length; i += 1) if (own[i] !== flagIds[i]) return false;
  return true;
}

/** Of short lists every unit, of longer ones about four of each id: lists that clients send differ in more. */
function hashIds(flagIds: readonly string[]): number {
  const isShort = flagIds.length <= FULLY_HASHED_MAX;
  let hash = flagIds.length;
  for (let i = 0; i < flagIds.length; i += 1) {
    const id = flagIds[i] as string;
    const stride = isShort ? 1 : 1 + (id.length >> 2);
    hash = (hash + id.length) | 0;
    for (let k = id.length - 1; k >= 0; k -= stride) hash = Math.imul(hash ^ id.charCodeAt(k), 0x01000193);
  }
  return hash;
}

const FULLY_HASHED_MAX = 8;

/** Cold: once for the tags of a key. */
function makeSight(tags: ReadonlySet<string>): Sight {
  const ordered = [...tags].sort();
  return { tags: JSON.stringify(ordered), hash: Math.imul(hashIds(ordered), 0x9e3779b1) };
}

function planOfAll(environment: ServingEnvironment, key: ServingKey, budget: FragmentsBudget): FlagPlan {
  const flagIds: string[] = [];
  const flags: CompiledFlag[] = [];
  for (const [flagId, flag] of environment.flags) {
    if (!isVisible(key, flag)) continue;
    flagIds.push(flagId);
    flags.push(flag);
  }
  return new FlagPlan(environment, flagIds, flags, budget);
}

function planOfList(
  environment: ServingEnvironment,
  key: ServingKey,
  flagIds: readonly string[],
  budget: FragmentsBudget,
): FlagPlan {
  const flags: (CompiledFlag | undefined)[] = [];
  for (let i = 0; i < flagIds.length; i += 1) {
    const flag = environment.flags.get(flagIds[i] as string);
    flags.push(flag !== undefined && isVisible(key, flag) ? flag : undefined);
  }
  return new FlagPlan(environment, flagIds, flags, budget);
}

function keep(own: EnvironmentPlans, hash: number, added: KeptPlan): void {
  const columns = added.plan.flagIds.length;
  if (columns > limits.planColumnsMax || hasLongId(added.plan.flagIds)) return added.plan.release();
  drop(own, hash);
  for (const [oldest, kept] of own.kept) {
    const fits = own.kept.size < limits.plansMax && own.columnCount + columns <= limits.planColumnsMax;
    if (fits) break;
    if (kept.isRecent) {
      // Once more round; what is asked for all the time stays while others come and go.
      kept.isRecent = false;
      own.kept.delete(oldest);
      own.kept.set(oldest, kept);
    } else drop(own, oldest);
  }
  own.kept.set(hash, added);
  own.columnCount += columns;
}

/** No flag has one: it is of no use to keep, and could be a megabyte. */
function hasLongId(flagIds: readonly string[]): boolean {
  for (let i = 0; i < flagIds.length; i += 1) if ((flagIds[i] as string).length > FLAG_ID_CHARS_MAX) return true;
  return false;
}

function drop(own: EnvironmentPlans, hash: number): void {
  const known = own.kept.get(hash);
  if (known === undefined) return;
  own.kept.delete(hash);
  own.columnCount -= known.plan.flagIds.length;
  known.plan.release();
}
