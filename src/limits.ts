// Every upper bound of the service in one place, each with its unit and the reason for its size: whatever grows has an
// end here. `limits.bodyBytesMax` reads one; docs/limits.md is made from the same table (scripts/generate-docs.mjs).
import { documentLimits } from './core/document-limits.ts';

interface Bound {
  readonly value: number;
  readonly unit: string;
  readonly reason: string;
}

const MIB = 1_048_576;

const requests = {
  bodyBytesMax: bound(
    MIB,
    'bytes',
    'Of a request body. A batch of 1,000 contexts or the largest flag fits; a worker can hold hundreds at once.',
  ),
  headerBytesMax: bound(
    16_384,
    'bytes',
    "Of all headers and the address of a request. Four times the server library's default, for long user ids and attributes in a GET.",
  ),
  bodyBytesDrainedMax: bound(
    64 * MIB,
    'bytes',
    'Declared, of a body that is refused: past it the connection is cut, so that the rest is not read for nothing.',
  ),
  queryParametersMax: bound(
    264,
    'parameters',
    'In an address: the 256 attributes of a GET evaluation, user_id, environment and what else is asked.',
  ),
  requestIdCharsMax: bound(
    128,
    'characters',
    'Of X-Request-Id: it is echoed and logged. Longer or unprintable ones are replaced by one made here.',
  ),
  traceparentCharsMax: bound(
    64,
    'characters',
    'Of traceparent, which has 55 in version 00; longer ones are not logged.',
  ),
  idempotencyKeyCharsMax: bound(255, 'characters', 'Of Idempotency-Key. It is stored for 24 hours; a UUID has 36.'),
  ifMatchTagsMax: bound(16, 'tags', 'In one If-Match.'),
  minRevisionAheadMax: bound(
    10_000,
    'revisions',
    'How far min_revision may lie ahead: further is a mistake, not a race.',
  ),
  minRevisionWaitMsMax: bound(1000, 'ms', 'How long a request waits for its min_revision before 409.'),
  minRevisionWaitersMax: bound(
    10_000,
    'requests',
    'Waiting on one worker for a revision; past it the answer is 409 at once.',
  ),
} as const satisfies Record<string, Bound>;

const evaluations = {
  batchContextsMax: bound(
    1000,
    'contexts',
    'In one POST /evaluate. A batch keeps its worker from everybody else while it runs.',
  ),
  batchFlagsMax: bound(10_000, 'flag ids', 'Named in one POST /evaluate.'),
  batchEvaluationsMax: bound(
    100_000,
    'evaluations',
    'Contexts times flags in one POST /evaluate: about 10 MB of reply, and 80 to 150 ms of a worker on two busy cores.',
  ),
  attributesMax: bound(256, 'attributes', 'In one context, counted at the top.'),
  attributesBytesMax: bound(
    65_536,
    'bytes',
    'Of the attributes of one context, as JSON or as sent in a query: more is a document, not a context.',
  ),
  attributesDepthMax: bound(16, 'levels', 'Of arrays and objects in the attributes of a context.'),
} as const satisfies Record<string, Bound>;

const management = {
  listPageMax: bound(1000, 'items', 'On one page of a list, and the default; next_cursor leads on.'),
  cursorCharsMax: bound(512, 'characters', "Of a list's cursor, which holds the last id of the page before."),
  searchCharsMax: bound(256, 'characters', 'Of q and tag in a list.'),
  environmentsMax: bound(256, 'environments', 'In a store. Every snapshot carries all of them.'),
  flagsPerEnvironmentMax: bound(
    50_000,
    'flags',
    'Live in one environment: five times the size that is measured; every worker holds them compiled.',
  ),
} as const satisfies Record<string, Bound>;

const keys = {
  keyCharsMin: bound(32, 'characters', 'The one lower bound here: a shorter API key could be guessed.'),
  keyCharsMax: bound(512, 'characters', 'Of an API key as it is sent. Ours have about 60; each unknown one is hashed.'),
  keysMax: bound(100_000, 'keys', 'Not revoked, in a store. Every worker holds them.'),
  keysCachedMax: bound(
    10_000,
    'keys',
    'Whose SHA-256 a worker remembers, so that it is not computed for every request.',
  ),
  keyNameCharsMax: bound(256, 'characters', "Of a key's name."),
  keyEnvironmentsMax: bound(256, 'environments', 'A key may be bound to.'),
  keyTagsMax: bound(64, 'tags', 'A key may be restricted to; each flag is checked against them.'),
  rotationOverlapMsMax: bound(2_592_000_000, 'ms', 'For which a rotated key goes on: 30 days.'),
  rateLimitMax: bound(
    1_000_000_000,
    'requests a minute',
    "Of a key's rate_limit: more than a machine answers, and far from where whole numbers end.",
  ),
  rateWaitMsMax: bound(50, 'ms', "A request waits for a refill of its key's lease before 429."),
  rateWaitersMax: bound(
    1024,
    'requests',
    'Of one key waiting on one worker for a refill; past it the answer is 429 at once.',
  ),
} as const satisfies Record<string, Bound>;

const processes = {
  workersMax: bound(
    256,
    'processes',
    'WORKERS. The default stops at 16: a node with more cores seldom spends them all on this.',
  ),
  ipcFrameBytesMax: bound(
    256 * MIB,
    'bytes',
    'Of a message between primary and worker: a snapshot of 50,000 flags of 5 KB.',
  ),
  ipcBacklogBytesMax: bound(
    512 * MIB,
    'bytes',
    'Unread by a worker, or by the primary, before the link is cut: two of the largest snapshots.',
  ),
  commandsInFlightMax: bound(
    256,
    'commands',
    'Of one worker, unanswered by the primary; past it 503. They are served one after another.',
  ),
  durationMsMax: bound(86_400_000, 'ms', 'Of DRAIN_DELAY_MS and SHUTDOWN_TIMEOUT_MS: a day.'),
  orphanTimeoutMsMax: bound(2_147_483_647, 'ms', 'Of ORPHAN_TIMEOUT_MS: the longest timer there is, 24 days.'),
  allowedOriginsMax: bound(256, 'origins', 'In ALLOWED_ORIGINS.'),
} as const satisfies Record<string, Bound>;

const observation = {
  logBacklogBytesMax: bound(
    MIB,
    'bytes',
    'Of log lines a hung reader has not taken; further lines are dropped and counted.',
  ),
  logValueCharsMax: bound(8192, 'characters', 'Of one text in a log line; the rest is cut.'),
  logDepthMax: bound(6, 'levels', 'Of objects in a log line.'),
  logFlushMsMax: bound(200, 'ms', 'A dying process waits for a slow log reader.'),
  accessLinesPerSecondMax: bound(
    10,
    'lines a second',
    'Of the access log for each status class of a worker, unless ACCESS_LOG=all.',
  ),
  accessErrorLinesPerSecondMax: bound(
    100,
    'lines a second',
    'Of the access log for 5xx of a worker, unless ACCESS_LOG=all.',
  ),
  retiredWorkersMax: bound(
    64,
    'workers',
    'Dead, whose last tallies are still kept apart, should they turn out to live. Older ones are summed up.',
  ),
} as const satisfies Record<string, Bound>;

// The values live in core, because the parser holds them; a new one there does not compile until it is named here.
const documents: { readonly [Name in keyof typeof documentLimits]: Bound } = {
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
    'Looked at in one evaluation, those of its prerequisites and segments included; past it the answer is QUARANTINED.',
  ),
  segmentDepthMax: document('segmentDepthMax', 'segments', 'In a chain: a segment may name another in its condition.'),
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

const chapters = {
  Requests: requests,
  Evaluations: evaluations,
  'Lists and stores': management,
  'Keys and rate limits': keys,
  'Flag documents': documents,
  Processes: processes,
  'Logs and metrics': observation,
} as const satisfies Record<string, Readonly<Record<string, Bound>>>;

const table = { ...requests, ...evaluations, ...management, ...keys, ...documents, ...processes, ...observation };

export type LimitName = keyof typeof table;

/** Every bound by name; the unit is part of the name. */
export const limits = Object.freeze(
  Object.fromEntries(Object.entries(table).map(([name, { value }]) => [name, value])),
) as { readonly [Name in LimitName]: number };

/** docs/limits.md, whole. */
export function limitsMarkdown(): string {
  const lines = [
    '# Limits',
    '',
    'Everything that grows has an end. This page is made from `src/limits.ts` by `node scripts/generate-docs.mjs`; do not edit it.',
    'Characters are UTF-16 code units: what `length` counts in every JSON client.',
  ];
  for (const [title, bounds] of Object.entries(chapters)) {
    lines.push('', `## ${title}`, '', '| Limit | Value | Unit | What, and why this much |', '|---|---:|---|---|');
    for (const [name, { value, unit, reason }] of Object.entries(bounds)) {
      lines.push(`| \`${name}\` | ${value.toLocaleString('en-US')} | ${unit} | ${reason} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function bound(value: number, unit: string, reason: string): Bound {
  return { value, unit, reason };
}

function document(name: keyof typeof documentLimits, unit: string, reason: string): Bound {
  return { value: documentLimits[name], unit, reason };
}
