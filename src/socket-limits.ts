// The bounds of WebSockets: a part of the table in limits.ts, which is the one to read them from.
import { type Bound, bound } from './core-limits.ts';

const MIB = 1_048_576;

export const sockets = {
  socketsMax: bound(32_768, 'sockets', 'WebSockets open on one worker: an idle one costs about 1 KB. Past it 503.'),
  socketsPerKeyMax: bound(
    16_384,
    'sockets',
    "Of one key on one worker, so that one key cannot take them all. A web page's key is the same for all its readers.",
  ),
  socketsUnauthenticatedMax: bound(
    512,
    'sockets',
    'On one worker whose first message, with the key, has not come yet: anybody can open one. Past it 503.',
  ),
  socketAuthMsMax: bound(5000, 'ms', 'For that first message to come: a slow phone takes one.'),
  socketAuthBytesMax: bound(
    4096,
    'bytes',
    'Of that first message: the longest key, each character written as six. Longer ones are not read, and close with 4401.',
  ),
  socketMessageBytesMax: bound(
    MIB,
    'bytes',
    'Of one message from a client: 1009 past it. As a request body; past twice that the connection is cut while it comes.',
  ),
  socketRequestsMax: bound(
    256,
    'requests',
    'In flight on one socket: 1013 past it. Four times what the protocol promises.',
  ),
  socketUnsentBytesMax: bound(
    16 * MIB,
    'bytes',
    'That one client has not taken: 1013 past it. The largest reply fits, and no single reply may be larger.',
  ),
  socketsUnsentBytesMax: bound(
    512 * MIB,
    'bytes',
    'That all clients of a worker have not taken. Past it 1013 for whoever is sent something with more than 1 MiB unsent.',
  ),
  socketMalformedMax: bound(10, 'messages', 'That cannot be read, in the life of a socket: 1008 at the last of them.'),
  socketHandlesMax: bound(64, 'handles', 'Prepared on one socket and not released.'),
  socketHandleFlagsMax: bound(
    100_000,
    'flags',
    'Of all handles of one socket: every flag of the two largest environments.',
  ),
  preparedListsBytesMax: bound(
    128 * MIB,
    'bytes',
    'Of all different lists of flags that the handles of one worker have; equal ones are held once. A flag counts as 320 and its name.',
  ),
  preparedCharsMax: bound(
    4 * MIB,
    'characters',
    'Of the flags in one prepared message: 50,000 boolean flags. One flag may be named ten thousand times.',
  ),
  socketKeptBytesMax: bound(
    64 * MIB,
    'bytes',
    'Of messages of one socket that are not answered yet: 64 of the largest. Past it 1013.',
  ),
  socketsKeptBytesMax: bound(
    512 * MIB,
    'bytes',
    'Of such messages of all sockets of a worker. Past it 1013 for whoever sends one with more than 1 MiB in flight.',
  ),
  subscriptionsPerSocketMax: bound(
    10_000,
    'subscriptions',
    'Of one WebSocket, with its watches and stats. Each takes about 140 bytes beside its context, and is looked at after each change.',
  ),
  subscriptionsMax: bound(
    1_000_000,
    'subscriptions',
    'On one worker: past it TOO_MANY_SUBSCRIPTIONS. A change that concerns them all is told to 100,000 in about a second.',
  ),
  subscriptionBytesPerSocketMax: bound(
    8 * MIB,
    'bytes',
    "That a socket's subscriptions keep: 128 for each, their contexts, and each list of flags that they name once.",
  ),
  subscriptionBytesMax: bound(
    512 * MIB,
    'bytes',
    'That the subscriptions of one worker keep, counted in the same way.',
  ),
  socketPushPauseBytes: bound(
    65_536,
    'bytes',
    'Unsent to a client: past it nothing is pushed until it has taken them, and then the latest state alone.',
  ),
  socketBehindMsMax: bound(
    30_000,
    'ms',
    'That a client takes for what changed at once before it is closed with 1013: the state it was told last is kept for it.',
  ),
  socketBehindChangesMax: bound(
    256,
    'snapshots',
    'Swapped while a client does not take what it was sent; past it closed with 1013. Each state of 10,000 flags that is kept takes about 0.5 MB.',
  ),
} as const satisfies Record<string, Bound>;
