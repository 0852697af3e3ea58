// Who gets something else than the rollout gives: targets, prerequisites and rules.
import { documentLimits } from './document-limits.ts';
import { at, kindOf, quote, report } from './issues.ts';
import type { AllocationRange, FlagType, Prerequisite, Rule, Serve, Target } from './model.ts';
import { FLAG_ID_RULE, isFlagId } from './names.ts';
import { readCondition } from './parse-condition.ts';
import { readPercentage, readSplit } from './parse-variants.ts';
import { isPresent, own, type Reading, readArray, readObject, readText, readVariantName } from './reading.ts';
import { textProblem, utf8Length } from './text.ts';

/** What the readers here need to know of the flag; undefined where that could not be read. */
export interface FlagShape {
  readonly flagId: string | undefined;
  readonly type: FlagType | undefined;
  readonly variantNames: ReadonlySet<string> | undefined;
}

export function readTargets(reading: Reading, value: unknown, path: string, shape: FlagShape): readonly Target[] {
  if (!isPresent(reading, value, path)) return [];
  const placed = new Map<string, string>();
  let idCount = 0;
  return readArray(reading, value, path, documentLimits.targetsMax).map((entry, i) => {
    const target = at(path, i);
    const fields = readObject(reading, entry, target, ['variant', 'user_ids']);
    if (fields === undefined) return { variant: '', user_ids: [] };
    const variant = readVariantName(reading, own(fields, 'variant'), at(target, 'variant'), shape.variantNames);
    const ids = readArray(reading, own(fields, 'user_ids'), at(target, 'user_ids'), documentLimits.targetUserIdsMax);
    if (idCount <= documentLimits.targetUserIdsMax && idCount + ids.length > documentLimits.targetUserIdsMax) {
      report(
        reading.issues,
        path,
        `must have at most ${documentLimits.targetUserIdsMax} user_ids together; longer lists are for segments`,
      );
    }
    idCount += ids.length;
    return { variant, user_ids: ids.map((id, j) => readUserId(reading, id, at(at(target, 'user_ids'), j), placed)) };
  });
}

/** `placed` remembers where each id was seen: in two targets it would be anybody's guess which one counts. */
function readUserId(reading: Reading, value: unknown, path: string, placed: Map<string, string>): string {
  if (typeof value !== 'string') {
    report(reading.issues, path, `must be a string, not ${kindOf(value)}`);
    return '';
  }
  const seenAt = placed.get(value);
  const problem = textProblem(value);
  if (value === '') report(reading.issues, path, 'must not be empty');
  else if (problem !== undefined) report(reading.issues, path, problem);
  else if (utf8Length(value) > documentLimits.userIdBytesMax)
    report(reading.issues, path, `must be at most ${documentLimits.userIdBytesMax} bytes of UTF-8`);
  else if (seenAt !== undefined) report(reading.issues, path, `${quote(value)} is at ${seenAt} already`);
  if (seenAt === undefined) placed.set(value, path);
  return value;
}

export function readPrerequisites(
  reading: Reading,
  value: unknown,
  path: string,
  shape: FlagShape,
): readonly Prerequisite[] {
  if (!isPresent(reading, value, path)) return [];
  const seen = new Set<string>();
  return readArray(reading, value, path, documentLimits.prerequisitesMax).map((entry, i) => {
    const fields = readObject(reading, entry, at(path, i), ['flag_id', 'variant']);
    if (fields === undefined) return { flag_id: '', variant: '' };
    const flagId = own(fields, 'flag_id');
    const flagPath = at(at(path, i), 'flag_id');
    if (!isFlagId(flagId)) report(reading.issues, flagPath, `must be a flag_id: ${FLAG_ID_RULE}`);
    else if (flagId === shape.flagId) report(reading.issues, flagPath, 'must be another flag, not this one');
    else if (seen.has(flagId)) report(reading.issues, flagPath, `${quote(flagId)} is a prerequisite already`);
    else seen.add(flagId);
    return {
      flag_id: isFlagId(flagId) ? flagId : '',
      variant: readVariantName(reading, own(fields, 'variant'), at(at(path, i), 'variant'), undefined),
    };
  });
}

/** Stands for a rule that was reported. */
const UNREADABLE: Rule = { rule_id: '', description: '', when: { any: [] }, serve: { variant: '' } };

export function readRules(reading: Reading, value: unknown, path: string, shape: FlagShape): readonly Rule[] {
  if (!isPresent(reading, value, path)) return [];
  const seen = new Set<string>();
  return readArray(reading, value, path, documentLimits.rulesMax).map((entry, i) => {
    const rule = at(path, i);
    const fields = readObject(reading, entry, rule, ['rule_id', 'description', 'when', 'serve']);
    if (fields === undefined) return UNREADABLE;
    const ruleId = own(fields, 'rule_id');
    if (!isFlagId(ruleId)) report(reading.issues, at(rule, 'rule_id'), `must be an id: ${FLAG_ID_RULE}`);
    else if (seen.has(ruleId))
      report(reading.issues, at(rule, 'rule_id'), `${quote(ruleId)} is another rule's already`);
    else seen.add(ruleId);
    const description = own(fields, 'description');
    return {
      rule_id: isFlagId(ruleId) ? ruleId : '',
      description: isPresent(reading, description, at(rule, 'description'))
        ? readText(reading, description, at(rule, 'description'), {
            charsMax: documentLimits.descriptionCharsMax,
            multiline: true,
          })
        : '',
      when: readCondition(reading, own(fields, 'when'), at(rule, 'when'), 0),
      serve: readServe(reading, own(fields, 'serve'), at(rule, 'serve'), shape, ruleAllocation(reading, ruleId)),
    };
  });
}

/** The ranges that a rule of this id has now. */
function ruleAllocation(reading: Reading, ruleId: unknown): readonly AllocationRange[] | undefined {
  const serve = reading.previous?.rules.find((rule) => rule.rule_id === ruleId)?.serve;
  return serve !== undefined && 'allocation' in serve ? serve.allocation : undefined;
}

function readServe(
  reading: Reading,
  value: unknown,
  path: string,
  shape: FlagShape,
  previous: readonly AllocationRange[] | undefined,
): Serve {
  const fields = readObject(reading, value, path, ['variant', 'rollout', 'allocation', 'rollout_percentage']);
  if (fields === undefined) return UNREADABLE.serve;
  const variant = own(fields, 'variant');
  const rollout = own(fields, 'rollout');
  const percentage = own(fields, 'rollout_percentage');
  const choices = shape.type === 'boolean' ? 'variant and rollout_percentage' : 'variant and rollout';
  if (shape.type === 'boolean' && rollout !== undefined)
    report(reading.issues, at(path, 'rollout'), 'is not for boolean flags; they have rollout_percentage');
  else if (shape.type !== 'boolean' && shape.type !== undefined && percentage !== undefined) {
    report(reading.issues, at(path, 'rollout_percentage'), 'is for boolean flags; the others have rollout');
  } else if ([variant, rollout, percentage].filter((choice) => choice !== undefined).length !== 1) {
    report(reading.issues, path, `must have exactly one of ${choices}`);
  } else if (rollout === undefined && own(fields, 'allocation') !== undefined && reading.source === 'stored') {
    report(reading.issues, at(path, 'allocation'), 'belongs to a rollout only');
  }
  if (percentage !== undefined)
    return { rollout_percentage: readPercentage(reading, percentage, at(path, 'rollout_percentage')) };
  if (rollout === undefined) {
    return {
      variant: variant === undefined ? '' : readVariantName(reading, variant, at(path, 'variant'), shape.variantNames),
    };
  }
  const paths = { rollout: at(path, 'rollout'), allocation: at(path, 'allocation') };
  return readSplit(reading, { rollout, allocation: own(fields, 'allocation') }, paths, shape.variantNames, previous);
}
