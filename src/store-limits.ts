// The bounds of what a node asks of PostgreSQL and how long it waits: a part of the table in limits.ts, which is the one to
// read them from.
import { type Bound, bound } from './core-limits.ts';

export const store = {
  databasePoolSizeMax: bound(
    200,
    'connections',
    'Of DATABASE_POOL_SIZE. Writes take turns at one row of the store, so that more would only wait there.',
  ),
  databaseTimeoutMsMax: bound(
    6_000,
    'ms',
    'Of DATABASE_TIMEOUT_MS: with databaseCommitMsMax it must end before the worker gives a command up, at 10 s.',
  ),
  databaseCommitMsMax: bound(
    3_000,
    'ms',
    'For the answer to a COMMIT, which may wait for a replica. After it the outcome is unknown.',
  ),
  databaseConnectMsMax: bound(3_000, 'ms', 'For a connection to PostgreSQL, TLS and password included.'),
  databaseReadMsMax: bound(
    60_000,
    'ms',
    'For a statement that reads, and for several of one look, however steadily its rows come. The server ends what is over it, too.',
  ),
  databaseIdleMsMax: bound(
    30_000,
    'ms',
    'That a connection stays open unused. Firewalls forget one without a word, and the next write would wait for nothing.',
  ),
  databaseLifetimeMsMax: bound(
    600_000,
    'ms',
    'Of a connection. The name of the server may have come to mean another one.',
  ),
  databaseRetryMsMax: bound(
    2_000,
    'ms',
    'Between two attempts to reach a server that is away. It doubles from 100 ms and is drawn between half of it and all of it, so that many nodes do not come back at once.',
  ),
  databaseMendRetryMsMax: bound(
    15_000,
    'ms',
    'The same while it is the configuration that is wrong: a password, the name of the database, a certificate. Servers lock out who tries every second.',
  ),
  databaseCloseMsMax: bound(10_000, 'ms', 'For statements under way to end when the service stops; then they are cut.'),
  hintRetryMsMax: bound(5_000, 'ms', 'Between two attempts to listen for hints, drawn as databaseRetryMsMax is.'),
  hintLiveMsMax: bound(10_000, 'ms', 'Between two questions whether the server that hints come from is still there.'),
} as const satisfies Record<string, Bound>;
