// What a key sees of an environment in one snapshot, and what differs between two such views. One object stands for a
// view wherever it is kept, so that a subscription remembers with one reference all that it was told.
import type { CompiledFlag, Outcome } from '../../core/compiled.ts';
import { changedFlags } from '../changed-flags.ts';
import { oncePerPair, type Steps } from '../once-per-pair.ts';
import { isVisible } from '../routes/lookup.ts';
import { jsonString } from '../routes/outcome-reply.ts';
import type { ServingEnvironment, ServingKey } from '../serving.ts';

export interface View {
  readonly environment: ServingEnvironment;
  /** Of the key. undefined: it sees every flag. */
  readonly tags: ReadonlySet<string> | undefined;
}

/** A flag that may answer differently, as far as each view shows it; undefined: unknown, archived or out of sight. */
export interface FlagChange {
  readonly flagId: string;
  readonly before: CompiledFlag | undefined;
  readonly after: CompiledFlag | undefined;
  /** What `changeMember` made already, by the outcomes' indexes. */
  readonly members: Map<number, string>;
}

/** From one view to a later one. */
export interface Transition {
  readonly from: View;
  readonly to: View;
  /** In order of flag_id. */
  readonly changes: readonly FlagChange[];
  /** Their ids as a JSON array. */
  readonly flagIdsJson: string;
  /** Those of `changes` that are among the flags of a list. */
  changesOf(list: FlagList): readonly FlagChange[];
}

/** Flags that are asked for by name. Equal lists are one object. */
export interface FlagList {
  /** Each once, as asked. */
  readonly ids: readonly string[];
  readonly set: ReadonlySet<string>;
}

/** Stands for the tags of a key that has none in the table below. */
const EVERY_FLAG = new Set<string>();
const views = new WeakMap<ServingEnvironment, WeakMap<ReadonlySet<string>, View>>();

/** The same object for the same environment and tags. */
export function viewOf(environment: ServingEnvironment, { tags }: Pick<ServingKey, 'tags'>): View {
  let ofEnvironment = views.get(environment);
  if (ofEnvironment === undefined) views.set(environment, (ofEnvironment = new WeakMap()));
  let view = ofEnvironment.get(tags ?? EVERY_FLAG);
  if (view === undefined) ofEnvironment.set(tags ?? EVERY_FLAG, (view = { environment, tags }));
  return view;
}

/** Two views of environments of one name. Work is done once for a pair, however many ask. */
export const transitionOf: (from: View, to: View) => Steps<Transition> = oncePerPair(findTransition);

/** Flags that are looked at in one step. */
const STEP_FLAGS = 512;

function* findTransition(from: View, to: View): Steps<Transition> {
  const ids = new Set(from.environment === to.environment ? [] : yield* changedFlags(from.environment, to.environment));
  if (!isSameSight(from.tags, to.tags)) yield* addOtherwiseVisible(ids, from, to);
  const changes: FlagChange[] = [];
  for (const flagId of [...ids].sort()) {
    const before = visible(from, flagId);
    const after = visible(to, flagId);
    if (before !== undefined || after !== undefined) changes.push({ flagId, before, after, members: new Map() });
    if (changes.length % STEP_FLAGS === 0) yield;
  }
  const byId = new Map(changes.map((change) => [change.flagId, change]));
  const byList = new WeakMap<FlagList, readonly FlagChange[]>();
  return {
    from,
    to,
    changes,
    flagIdsJson: JSON.stringify(changes.map(({ flagId }) => flagId)),
    changesOf(list) {
      let own = byList.get(list);
      if (own === undefined) byList.set(list, (own = pick(list)));
      return own;
    },
  };

  function pick({ ids: listed, set }: FlagList): readonly FlagChange[] {
    if (changes.length < listed.length) return changes.filter(({ flagId }) => set.has(flagId));
    return listed.map((flagId) => byId.get(flagId)).filter((change) => change !== undefined);
  }
}

function isSameSight(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && [...a].every((tag) => b.has(tag));
}

/** Flags that are in both states and that one of two keys may see, or the other. */
function* addOtherwiseVisible(ids: Set<string>, from: View, to: View): Steps<void> {
  let looked = 0;
  for (const flag of to.environment.flags.values()) {
    if (isVisible(from, flag) !== isVisible(to, flag)) ids.add(flag.flagId);
    if (++looked % STEP_FLAGS === 0) yield;
  }
}

function visible(view: View, flagId: string): CompiledFlag | undefined {
  const flag = view.environment.flags.get(flagId);
  return flag !== undefined && isVisible(view, flag) ? flag : undefined;
}

/** Pairs of outcomes of one flag that are kept: a flag of many variants has more pairs than is worth keeping. */
const MEMBERS_KEPT_MAX = 64;
/** Above every index of an outcome, with one for "not found" before them. */
const OUTCOMES_END = 65_536;

/** `"a":{...}` as it stands among the results of a change; empty: nothing but the version differs. */
export function changeMember(change: FlagChange, before: Outcome | undefined, after: Outcome | undefined): string {
  const pair =
    (before === undefined ? 0 : before.index + 1) * OUTCOMES_END + (after === undefined ? 0 : after.index + 1);
  let member = change.members.get(pair);
  if (member === undefined) {
    member = answerOf(before) === answerOf(after) ? '' : `${jsonString(change.flagId)}:${textOf(after)}`;
    if (change.members.size < MEMBERS_KEPT_MAX) change.members.set(pair, member);
  }
  return member;
}

function textOf(outcome: Outcome | undefined): string {
  return outcome === undefined ? '{"error":"FLAG_NOT_FOUND"}' : outcome.batchJson;
}

/** All that is told of an outcome but its version, which stands last. */
function answerOf(outcome: Outcome | undefined): string {
  if (outcome === undefined) return '';
  return outcome.batchJson.slice(0, -`,"version":${outcome.version}}`.length);
}
