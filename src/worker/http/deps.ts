// What the HTTP side of a worker is given. Narrow on purpose: each is the part of another module that is used here.
import type { Config } from '../../config.ts';
import type { HashUser } from '../../core/compiled.ts';
import type { BatchKernel } from '../../kernel/batch-kernel.ts';
import type { AccessLog } from '../../observe/access-log.ts';
import type { HashText } from '../../snapshot/checksum.ts';
import type { Limiter } from '../limiter.ts';
import type { Overload } from '../overload.ts';
import type { PrimaryLink, SnapshotHolder } from '../serving.ts';
import type { Tallies } from '../tallies.ts';
import type { TlsFiles } from '../transport/transport.ts';
import type { UnknownFlagCounts } from '../unknown-flags.ts';
import type { Uploads } from '../uploads.ts';

export interface HttpDeps {
  readonly holder: SnapshotHolder;
  readonly link: Pick<PrimaryLink, 'command' | 'metrics' | 'unknownFlags' | 'connected' | 'term'>;
  readonly limiter: Pick<Limiter, 'tryTake' | 'waitTake' | 'standing'>;
  readonly uploads: Uploads;
  readonly tallies: Pick<Tallies, 'request' | 'count' | 'gauge' | 'answered'>;
  readonly unknownFlags: Pick<UnknownFlagCounts, 'count'>;
  readonly accessLog: Pick<AccessLog, 'wants' | 'record'>;
  readonly config: Pick<
    Config,
    'host' | 'port' | 'allowedOrigins' | 'transport' | 'trustProxy' | 'workers' | 'connectionsPerAddress'
  >;
  /** undefined: plain HTTP. */
  readonly tls: TlsFiles | undefined;
  readonly build: { readonly version: string; readonly build: string };
  readonly hash: HashUser;
  readonly hashText: HashText;
  /** What evaluates batches. */
  readonly kernel: BatchKernel;
  readonly logger: { error(fields: object, message: string): void };
  /** This worker's own tallies as Prometheus text, for when the primary does not answer. */
  readonly ownMetrics: () => string | Promise<string>;
  /** For the key to come on a WebSocket whose handshake has none. */
  readonly socketAuthMs: number;
  /** Left out: what this worker's own loop and batches tell. */
  readonly overload?: Overload | undefined;
  /** Called now and then from within a long turn of the loop. */
  readonly onLongTurn: () => void;
}
