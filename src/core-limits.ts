// The bounds that core holds itself, because its parsers and its search for flips keep them, with their units and reasons.
import { documentLimits } from './core/document-limits.ts';
import { explainLimits } from './core/explain-work.ts';

export interface Bound {
  readonly value: number;
  readonly unit: string;
  readonly reason: string;
}

// The values live in core, because the parser holds them; a new one there does not compile until it is named here.
export const documents: { readonly [Name in keyof typeof documentLimits]: Bound } = {
  documentBytesMax: document(
    'documentBytesMax',
    'bytes',
    "Of a flag's definition as the API shows it. Every worker parses and compiles it.",
  ),
  documentDepthMax: document(
    'documentDepthMax',
    'levels',
    'Of arrays and objects in a body: bounds the stack of whatever recurses.',
  ),
  issuesMax: document('issuesMax', 'problems', 'Reported at once: more than a person reads.'),
  descriptionCharsMax: document('descriptionCharsMax', 'characters', "Of a flag's or a rule's description."),
  tagsMax: document('tagsMax', 'tags', 'On a flag. Keys and lists are filtered by them one by one.'),
  tagCharsMax: document('tagCharsMax', 'characters', 'Of a tag.'),
  ownerCharsMax: document('ownerCharsMax', 'characters', 'Of an owner: a name, an address or a team.'),
  saltCharsMax: document('saltCharsMax', 'characters', 'Of a salt; it is hashed with every user.'),
  attributeCharsMax: document('attributeCharsMax', 'characters', "Of an attribute's name, dots included."),
  variantsMax: document(
    'variantsMax',
    'variants',
    'Of a flag. The binary protocol names one by a byte and keeps 255 for unknown.',
  ),
  variantNameCharsMax: document('variantNameCharsMax', 'characters', "Of a variant's name."),
  valueBytesMax: document(
    'valueBytesMax',
    'bytes',
    "Of the JSON of one variant's value. It is copied into every reply that serves it.",
  ),
  valueDepthMax: document('valueDepthMax', 'levels', "Of arrays and objects in one variant's value."),
  allocationRangesMax: document(
    'allocationRangesMax',
    'ranges',
    'Of one split; past it a fresh layout is needed ("reallocate": true).',
  ),
  targetsMax: document('targetsMax', 'targets', 'Of a flag.'),
  targetUserIdsMax: document(
    'targetUserIdsMax',
    'user ids',
    'In all targets of a flag together. Longer lists are what segments are for.',
  ),
  userIdBytesMax: document(
    'userIdBytesMax',
    'bytes',
    'Of a user id in UTF-8: the binary protocol counts them in 16 bits.',
  ),
  prerequisitesMax: document('prerequisitesMax', 'flags', 'A flag depends on directly; each is evaluated first.'),
  prerequisiteDepthMax: document('prerequisiteDepthMax', 'flags', 'In a chain of prerequisites below one flag.'),
  prerequisiteEvaluationsMax: document(
    'prerequisiteEvaluationsMax',
    'evaluations',
    'Of prerequisites, direct and indirect, that one evaluation of a flag may need.',
  ),
  conditionEvaluationsMax: document(
    'conditionEvaluationsMax',
    'conditions',
    'Looked at in one evaluation, those of its prerequisites and segments included; long texts and arrays count for several. Past it the answer is QUARANTINED.',
  ),
  segmentDepthMax: document('segmentDepthMax', 'segments', 'In a chain: a segment may name another in its condition.'),
  segmentEvaluationsMax: document(
    'segmentEvaluationsMax',
    'segments',
    'That one segment asks through its condition, direct and indirect, one asked twice counted twice.',
  ),
  rulesMax: document('rulesMax', 'rules', 'Of a flag; they are tried in order.'),
  conditionsMax: document(
    'conditionsMax',
    'conditions',
    'Groups and segments included, in all rules of a flag together.',
  ),
  conditionDepthMax: document('conditionDepthMax', 'levels', "Of all and any in a rule's when."),
  conditionValuesMax: document(
    'conditionValuesMax',
    'values',
    'Of one condition. Longer lists are what segments are for.',
  ),
  conditionValueCharsMax: document('conditionValueCharsMax', 'characters', "Of a text among a condition's values."),
  patternCharsMax: document('patternCharsMax', 'characters', 'Of a matches pattern.'),
  patternStepsMax: document(
    'patternStepsMax',
    'steps',
    'Of about 20 ns, to compile all patterns of a flag and make their tables. With them any text is searched in one pass.',
  ),
  containsCharsMax: document('containsCharsMax', 'characters', 'Of a contains value: its search table just fits.'),
  searchPassesMax: document(
    'searchPassesMax',
    'passes',
    'Over a text, for all contains and matches of a flag: one a pattern, one for as many contains values as fit into a table.',
  ),
};

// As those of documents: core is what holds them.
export const explanations: { readonly [Name in keyof typeof explainLimits]: Bound } = {
  explainWorkUnitsMax: explanation(
    'explainWorkUnitsMax',
    'units',
    'Of work for the flips of one answer, a unit being the visit of a simple condition: a few ms. Past it flips_complete is false.',
  ),
  explainSharesMax: explanation(
    'explainSharesMax',
    'explanations',
    'Whose full work and conditions one request may take; a batch shares them.',
  ),
  flipEvaluationsMax: explanation('flipEvaluationsMax', 'evaluations', 'Tried for the flips of one answer.'),
  traceConditionsMax: explanation(
    'traceConditionsMax',
    'rules and conditions',
    'In the steps of one answer: more than a person reads. The rest is left out, and counted.',
  ),
  flipsMax: explanation('flipsMax', 'flips', 'Of one answer, the smallest.'),
  flipChangesMax: explanation(
    'flipChangesMax',
    'changes',
    'In one flip: more is another user. All their selections are tried, to offer the smallest.',
  ),
};

export function bound(value: number, unit: string, reason: string): Bound {
  return { value, unit, reason };
}

function explanation(name: keyof typeof explainLimits, unit: string, reason: string): Bound {
  return { value: explainLimits[name], unit, reason };
}

function document(name: keyof typeof documentLimits, unit: string, reason: string): Bound {
  return { value: documentLimits[name], unit, reason };
}
