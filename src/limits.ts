// Every upper bound of the service in one place, each with its unit and the reason for its size: whatever grows has an
// end here. `limits.bodyBytesMax` reads one; docs/limits.md is made from the same table (scripts/generate-docs.mjs).
import { type Bound, bound, documents, explanations } from './core-limits.ts';
import { load } from './load-limits.ts';
import { redis } from './redis-limits.ts';
import { sockets } from './socket-limits.ts';
import { store } from './store-limits.ts';

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
  pipelinedRequestsMax: bound(
    16,
    'requests',
    'Waiting for an answer on one connection of the second transport (the first allows one): past it the connection is cut.',
  ),
  uploadBytesMax: bound(
    64 * MIB,
    'bytes',
    "Of a segment's list as a text file: its largest number of ids at 32 bytes each. It goes to disk as it comes.",
  ),
  uploadUnreadBytesMax: bound(
    262_144,
    'bytes',
    'Of an upload that are in memory because the disk is slower than its client, who then has to wait.',
  ),
  uploadsInFlightMax: bound(
    4,
    'files',
    'Received by one worker or waiting for its command at once; past it 503. They are on disk, and each is packed by the primary.',
  ),
  uploadMsMax: bound(600_000, 'ms', 'For an upload to arrive: 64 MiB at 1 Mbit/s take 537 s.'),
  downloadChunkChars: bound(65_536, 'characters', "Of a segment's list that are made at once while it is sent."),
  streamUnsentBytesMax: bound(
    MIB,
    'bytes',
    'Of a reply in chunks that its client does not take; past it the connection is cut.',
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
    'In one POST /evaluate or evaluate_batch. It bounds what one of them costs.',
  ),
  batchFlagsMax: bound(10_000, 'flag ids', 'Named in one POST /evaluate, or in one message on a socket.'),
  batchEvaluationsMax: bound(
    100_000,
    'evaluations',
    'Contexts times flags in one batch by JSON: about 10 MB of reply.',
  ),
  batchReplyBytesMax: bound(
    64 * MIB,
    'bytes',
    'Of the reply to a batch or to all flags by HTTP: past it 400 while it is made. A name or a value is told once for every context.',
  ),
  binaryEvaluationsMax: bound(1_000_000, 'evaluations', 'Users times flags in one binary frame: 1 MB of reply.'),
  binaryUsersMax: bound(10_000, 'users', 'In one binary frame. What the kernel keeps of each is in fixed memory.'),
  plansMax: bound(256, 'lists', 'Of flags that a worker keeps ready for one environment, because clients ask again.'),
  planColumnsMax: bound(
    100_000,
    'flags',
    'In all of those lists together: about 300 bytes each once they are used again.',
  ),
  planFragmentsBytesMax: bound(
    64 * MIB,
    'bytes',
    'Of prepared texts for all lists of one environment. Past it replies are made of strings, as for a list seen once.',
  ),
  requestConditionsMax: bound(
    2_000_000,
    'conditions',
    'Looked at for all answers of one request, long texts and arrays counted as in conditionEvaluationsMax: 20 to 300 ms of a worker. Past it 400.',
  ),
  explainedEvaluationsMax: bound(
    200,
    'evaluations',
    'Contexts times flags in one POST /evaluate with explain=true: each is evaluated many times over, and told in full.',
  ),
  attributesMax: bound(
    256,
    'attributes',
    'In one context, counted at the top, however they are sent. A list is one; the parameters of a GET that make it count as such.',
  ),
  attributesBytesMax: bound(
    65_536,
    'bytes',
    'Of the attributes of one context, as JSON or as sent in a query: more is a document, not a context.',
  ),
  attributesDepthMax: bound(16, 'levels', 'Of arrays and objects in the attributes of a context.'),
} as const satisfies Record<string, Bound>;

const management = {
  listPageMax: bound(1000, 'items', 'On one page of a list, and the default; next_cursor leads on.'),
  cursorCharsMax: bound(
    2048,
    'characters',
    "Of a list's cursor, which holds the last id of the page before; in the report of unknown flags any text.",
  ),
  searchCharsMax: bound(256, 'characters', 'Of q and tag in a list.'),
  dependentsShownMax: bound(
    1000,
    'items',
    'Named in the dependents of a 409 IN_USE: more than anybody changes by hand. The sentence beside it counts all.',
  ),
  environmentsMax: bound(256, 'environments', 'In a store. Every snapshot carries all of them.'),
  flagsPerEnvironmentMax: bound(
    50_000,
    'flags',
    'Live in one environment: five times the size that is measured; every worker holds them compiled.',
  ),
} as const satisfies Record<string, Bound>;

const segments = {
  segmentsPerEnvironmentMax: bound(
    10_000,
    'segments',
    'Live in one environment. Every worker holds them with their lists.',
  ),
  segmentIdsMax: bound(
    2_000_000,
    'ids',
    'In one list of a segment: twice what is measured. Every worker holds them, about 18 bytes for each of 12 characters.',
  ),
  memberChangesMax: bound(
    10_000,
    'ids',
    'Added and removed by one POST of members. Longer lists are sent whole by PUT.',
  ),
  segmentTailIdsMax: bound(
    20_000,
    'ids',
    'Changed in a list and not packed yet. They travel with each change and are folded at a fifth of it; a write that would pass it waits for that.',
  ),
  segmentTailBytesMax: bound(2 * MIB, 'bytes', 'Of those ids as UTF-8.'),
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
  packingJobsMax: bound(
    64,
    'jobs',
    'Lists of ids that wait to be packed or folded, one after another; past it 503. A million ids take about a second.',
  ),
  openedBlobBytesMax: bound(
    64 * MIB,
    'bytes',
    'Of packed ids that the primary keeps open for changes of members: three lists of a million.',
  ),
  orphanTimeoutMsMax: bound(2_147_483_647, 'ms', 'Of ORPHAN_TIMEOUT_MS: the longest timer there is, 24 days.'),
  allowedOriginsMax: bound(256, 'origins', 'In ALLOWED_ORIGINS.'),
  trustedProxiesMax: bound(256, 'proxies', 'In TRUST_PROXY.'),
} as const satisfies Record<string, Bound>;

const eventStreams = {
  streamsMax: bound(
    20_000,
    'streams',
    'Of server-sent events, open on one worker: each costs about 2 KB. Past it 503.',
  ),
  streamsPerKeyMax: bound(
    10_000,
    'streams',
    "Of one key on one worker, so that one key cannot take them all. A web page's key is the same for all its readers.",
  ),
  streamTokenCharsMax: bound(
    1024,
    'characters',
    "Of the token in a stream's address. A key_id too long for it gets no address, and its clients poll.",
  ),
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
  unknownFlagsMax: bound(
    1000,
    'names',
    'Of flags that were asked for and do not exist, counted one by one on a worker and on a node; further ones are counted together.',
  ),
  unknownFlagCharsMax: bound(128, 'characters', 'Of such a name; the rest is cut. No flag_id has more.'),
  suggestionComparisonsMax: bound(
    100_000,
    'comparisons',
    'Of names with flag_ids for one reply of the report of unknown flags; past it names have no suggestion.',
  ),
  retiredWorkersMax: bound(
    64,
    'workers',
    'Dead, whose last tallies are still kept apart, should they turn out to live. Older ones are summed up.',
  ),
} as const satisfies Record<string, Bound>;

const chapters = {
  Requests: requests,
  Evaluations: evaluations,
  Explanations: explanations,
  'Lists and stores': management,
  Segments: segments,
  'Keys and rate limits': keys,
  'Flag documents': documents,
  'Event streams': eventStreams,
  Sockets: sockets,
  'Hostile load': load,
  Redis: redis,
  PostgreSQL: store,
  Processes: processes,
  'Logs and metrics': observation,
} as const satisfies Record<string, Readonly<Record<string, Bound>>>;

const table = {
  ...requests,
  ...evaluations,
  ...explanations,
  ...management,
  ...segments,
  ...keys,
  ...documents,
  ...eventStreams,
  ...sockets,
  ...load,
  ...redis,
  ...store,
  ...processes,
  ...observation,
};

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
