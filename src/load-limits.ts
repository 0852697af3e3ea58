// The bounds of what clients may make a worker hold or do at once, however many and however hostile they are: a part of
// the table in limits.ts, which is the one to read them from.
import { type Bound, bound } from './core-limits.ts';

const MIB = 1_048_576;

export const load = {
  connectionsMax: bound(
    65_536,
    'connections',
    'Open on one worker, WebSockets included; less where the system allows a process fewer files. Past it a new one is closed at once. An idle one costs about 1 KB.',
  ),
  filesReservedMax: bound(
    256,
    'files',
    'Of those that the system allows a process, kept for what is no connection: uploads, lists of ids, the log.',
  ),
  connectionsPerAddressMax: bound(
    1_000_000,
    'connections',
    'Of CONNECTIONS_PER_ADDRESS, which says how many one address may have open on this node.',
  ),
  unreadRepliesBytesMax: bound(
    256 * MIB,
    'bytes',
    'Of HTTP replies that the clients of one worker have not taken. Past it the ones that have waited longest are cut: four of the largest fit.',
  ),
  unendedBodiesBytesMax: bound(
    256 * MIB,
    'bytes',
    'Of request bodies that have begun to come to one worker and not ended, files apart. Past it the ones that have been coming for longest are cut.',
  ),
  batchesWaitingEvaluationsMax: bound(
    1_000_000,
    'evaluations',
    'Of all batches that wait for their turns or go on: ten of the largest, 100 MB of replies. Past it OVERLOADED for one of more than 1,000.',
  ),
  socketsUnauthenticatedPerAddressMax: bound(
    64,
    'sockets',
    'Of one address on one worker, whose first message, with the key, has not come yet: each may hold up to twice socketMessageBytesMax of it. Past it 503.',
  ),
  wholeReplyBytesMax: bound(
    65_536,
    'bytes',
    'Of a reply that is handed to the system in one go. What is left of a larger one is counted until its client has taken it.',
  ),
  replyIdleMsMax: bound(
    10_000,
    'ms',
    'In which a client takes nothing of a reply that it has not taken whole; then it is cut.',
  ),
  replyBytesPerSecondMin: bound(
    16_384,
    'bytes a second',
    'That a client takes of a reply, from 10 s after its beginning on: the same that is asked of those who send a body.',
  ),
  loopLagMsMax: bound(
    100,
    'ms',
    'Of CPU by which three turns of the event loop running come late before requests are refused. One late turn, of a garbage collection, is no overload; nor are any of a process that is stopped or waits for a CPU.',
  ),
  turnCpuMsMax: bound(
    200,
    'ms',
    'Of CPU in one turn of the event loop, from its first requests on. Past it nine of ten that it still finds are refused: thousands of connections that ask at once would else hold it for seconds.',
  ),
  batchWaitMsMax: bound(500, 'ms', 'That a batch would wait for its turn before some are refused.'),
} as const satisfies Record<string, Bound>;
