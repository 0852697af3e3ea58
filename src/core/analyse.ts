// What is allowed, and probably not meant: told to whoever writes a flag. Each warning is true of every context, and the
// list is not complete: a document that would take long to judge is judged in part.
import { alwaysHolds, type Conflict, findConflict, implies, type Logic, toLogic } from './analyse-logic.ts';
import { fallthroughOf, onlyVariant, servesSame, shrinking, variantsOf } from './analyse-rollout.ts';
import type { Work } from './analyse-values.ts';
import { documentLimits } from './document-limits.ts';
import { at, quote } from './issues.ts';
import type { ConditionNode, FlagDefinition, Prerequisite } from './model.ts';

export interface Warning {
  /** Public, and never used for something else later. */
  readonly code:
    | 'PREREQUISITE_NEVER_MET'
    | 'TARGET_EMPTY'
    | 'TARGET_REPEATS_ROLLOUT'
    | 'RULE_UNREACHABLE'
    | 'RULE_NEVER_MATCHES'
    | 'RULE_MATCHES_LISTS_ONLY'
    | 'CONDITION_NEVER_MATCHES'
    | 'SEGMENT_EMPTY'
    | 'RULE_REPEATS_ROLLOUT'
    | 'ROLLOUT_SHRINKS'
    | 'ROLLOUT_RESHUFFLES';
  /** Where in the document. */
  readonly path: string;
  readonly message: string;
}

/** What else of the environment is known; undefined where it is not, and then nothing is said of it. */
export interface Surroundings {
  /** Of the segment with this id. */
  segment(segmentId: string): { readonly empty: boolean } | undefined;
  /** The live flag with this id. */
  flag(flagId: string): FlagDefinition | undefined;
}

/** What one analysis may take: some 10 ms (test/unit/core/analyse.test.ts). */
const STEPS_MAX = 100_000;

/**
 * What is doubtful about a definition that is valid; at most documentLimits.issuesMax.
 * @param previous the definition that it follows; undefined when it is the first
 */
export function analyse(
  flag: FlagDefinition,
  previous: FlagDefinition | undefined,
  surroundings: Surroundings,
): readonly Warning[] {
  const warnings: Warning[] = [];
  const work: Work = { left: STEPS_MAX, made: new Map() };
  for (const warning of everyWarning(flag, previous, surroundings, work)) {
    if (warnings.length === documentLimits.issuesMax) break;
    warnings.push(warning);
  }
  return warnings;
}

function* everyWarning(
  flag: FlagDefinition,
  previous: FlagDefinition | undefined,
  surroundings: Surroundings,
  work: Work,
): Generator<Warning> {
  if (previous !== undefined) yield* shrinking(flag, previous);
  yield* prerequisites(flag, surroundings);
  yield* targets(flag);
  yield* rules(flag, work);
  yield* emptySegments(flag, surroundings);
  yield* repeating(flag);
}

function* prerequisites(flag: FlagDefinition, surroundings: Surroundings): Generator<Warning> {
  for (const [i, prerequisite] of flag.prerequisites.entries()) {
    const needed = surroundings.flag(prerequisite.flag_id);
    const why = needed === undefined ? undefined : whyNeverMet(prerequisite, needed);
    if (why === undefined) continue;
    const message = `is not met by anybody now, because ${why}: this flag serves everyone what it serves while it is off`;
    yield { code: 'PREREQUISITE_NEVER_MET', path: at('prerequisites', i), message };
  }
}

function whyNeverMet({ flag_id: flagId, variant }: Prerequisite, needed: FlagDefinition): string | undefined {
  if (!needed.enabled) return `${quote(flagId)} is not enabled`;
  const served = [
    ...needed.targets.map((target) => target.variant),
    ...needed.rules.flatMap(({ serve }) => variantsOf(serve)),
    ...variantsOf(fallthroughOf(needed)),
  ];
  return served.includes(variant) ? undefined : `${quote(flagId)} serves ${quote(variant)} to nobody`;
}

function* targets(flag: FlagDefinition): Generator<Warning> {
  const everyone = flag.rules.length === 0 ? onlyVariant(fallthroughOf(flag)) : undefined;
  for (const [i, { variant, user_ids: userIds }] of flag.targets.entries()) {
    const path = at('targets', i);
    if (userIds.length === 0) yield { code: 'TARGET_EMPTY', path, message: 'names no user' };
    else if (variant === everyone) {
      const message = `gives its users ${quote(variant)}, which everyone gets without it`;
      yield { code: 'TARGET_REPEATS_ROLLOUT', path, message };
    }
  }
}

function* rules(flag: FlagDefinition, work: Work): Generator<Warning> {
  const userIds = flag.targets.flatMap((target) => target.user_ids);
  const targeted = toLogic({ attribute: 'user_id', op: 'in', values: userIds }, 'targets');
  const earlier: Logic[] = [];
  /** The first rule that matches everyone. */
  let last: string | undefined;
  for (const [i, rule] of flag.rules.entries()) {
    const path = at('rules', i);
    const when = toLogic(rule.when, at(path, 'when'));
    const conflict = findConflict(when, work);
    if (conflict !== undefined) yield conflictWarning(path, conflict, 'RULE');
    else yield* deadBranches(when, path, work);
    if (last !== undefined) {
      const message = `is never reached: rule ${quote(last)} before it matches everyone`;
      yield { code: 'RULE_UNREACHABLE', path, message };
    } else if (conflict?.certainty !== 'never') {
      const message = whyUnreachable(when, earlier, flag, targeted, work);
      if (message !== undefined) yield { code: 'RULE_UNREACHABLE', path, message };
    }
    if (alwaysHolds(when, work)) last ??= rule.rule_id;
    earlier.push(when);
  }
}

function whyUnreachable(
  when: Logic,
  earlier: readonly Logic[],
  flag: FlagDefinition,
  targeted: Logic,
  work: Work,
): string | undefined {
  const covering = flag.rules[earlier.findIndex((other) => implies(when, other, work))];
  if (covering !== undefined)
    return `is never reached: rule ${quote(covering.rule_id)} before it matches everyone whom it matches`;
  if (implies(when, targeted, work))
    return 'is never reached: every user whom it matches is in targets, which come first';
  const isCovered = (member: Logic): boolean => [targeted, ...earlier].some((other) => implies(member, other, work));
  return when.kind === 'any' && when.members.length > 0 && when.members.every(isCovered)
    ? 'is never reached: targets and the rules before it match everyone whom it matches'
    : undefined;
}

/** Alternatives that cannot hold in a rule that can. */
function* deadBranches(when: Logic, path: string, work: Work): Generator<Warning> {
  if (when.kind !== 'any') return;
  for (const member of when.members) {
    const conflict = findConflict(member, work);
    if (conflict?.certainty === 'never') yield conflictWarning(path, conflict, 'CONDITION');
  }
}

function conflictWarning(path: string, { certainty, leaves }: Conflict, what: 'RULE' | 'CONDITION'): Warning {
  const [first, second] = leaves.map((leaf) => leaf.path);
  const subject = what === 'RULE' ? 'matches nobody' : 'has an alternative that matches nobody';
  if (certainty === 'unless a list') {
    const message = `matches only who has a list there: no single value satisfies both ${first} and ${second}`;
    return { code: 'RULE_MATCHES_LISTS_ONLY', path, message };
  }
  const code = `${what}_NEVER_MATCHES` as const;
  if (first === undefined) return { code, path, message: `${subject}: its negation leaves nothing` };
  if (second === undefined) return { code, path, message: `${subject}: ${first} never holds, as a user_id is a text` };
  return { code, path, message: `${subject}: ${first} and ${second} exclude each other` };
}

function* emptySegments(flag: FlagDefinition, surroundings: Surroundings): Generator<Warning> {
  for (const [i, rule] of flag.rules.entries()) {
    for (const { segmentId, path } of segmentsOf(rule.when, at(at('rules', i), 'when'))) {
      if (surroundings.segment(segmentId)?.empty !== true) continue;
      const message = `segment ${quote(segmentId)} has no members and no condition now: nobody is in it`;
      yield { code: 'SEGMENT_EMPTY', path, message };
    }
  }
}

/** The segments that a condition names, and where. */
export function* segmentsOf(
  node: ConditionNode,
  path: string,
): Generator<{ readonly segmentId: string; readonly path: string }> {
  if ('segment' in node) yield { segmentId: node.segment, path: at(path, 'segment') };
  else if ('all' in node)
    for (const [i, member] of node.all.entries()) yield* segmentsOf(member, at(at(path, 'all'), i));
  else if ('any' in node)
    for (const [i, member] of node.any.entries()) yield* segmentsOf(member, at(at(path, 'any'), i));
}

/** The last rules, as long as nothing behind them gives anything else. */
function* repeating(flag: FlagDefinition): Generator<Warning> {
  const fallthrough = fallthroughOf(flag);
  const last = flag.rules.findLastIndex(({ serve }) => !servesSame(serve, fallthrough));
  for (let i = last + 1; i < flag.rules.length; i++) {
    const message = 'gives those whom it matches what they get without it';
    yield { code: 'RULE_REPEATS_ROLLOUT', path: at('rules', i), message };
  }
}
