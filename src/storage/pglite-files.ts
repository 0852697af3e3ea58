// PGlite's files, made durable. PGlite runs PostgreSQL with fsync off because its Node file system has no fsync to
// call; with one, PostgreSQL's own protocol holds: WAL synced before a commit answers, data files synced before a
// checkpoint counts, directories synced after a rename.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { PGlite, types } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

type InitOptions = Parameters<NodeFS['init']>[1];

interface Stream {
  /** The real file descriptor. */
  readonly nfd: number;
  readonly node: { readonly name: string };
}

/** The part of Emscripten's NODEFS that is added to. */
interface NodeFsModule {
  readonly NODEFS: {
    tryFSOperation<T>(run: () => T): T;
    readonly stream_ops: {
      fsync?: (stream: Stream) => number;
      write(stream: Stream, buffer: Uint8Array, offset: number, length: number, position: number): number;
    };
  };
}

const WAL_SEGMENT = /^[0-9A-F]{24}$/;

export class DurableFs extends NodeFS {
  /** Bytes written to WAL segments since the start. */
  walBytes = 0;

  override async init(pg: PGlite, options: InitOptions): ReturnType<NodeFS['init']> {
    const addSync = (module: unknown): void => this.#addSync(module as NodeFsModule);
    // First, so that the ops are complete before the data directory is mounted.
    return super.init(pg, { ...options, preRun: [addSync, ...[options.preRun ?? []].flat()] });
  }

  #addSync({ NODEFS }: NodeFsModule): void {
    const ops = NODEFS.stream_ops;
    const write = ops.write;
    ops.write = (stream, buffer, offset, length, position) => {
      if (WAL_SEGMENT.test(stream.node.name)) this.walBytes += length;
      return write(stream, buffer, offset, length, position);
    };
    ops.fsync = (stream) => {
      // A failure becomes an errno, on which PostgreSQL panics: it must not believe a second try.
      NODEFS.tryFSOperation(() => this.sync(stream.nfd, stream.node.name));
      return 0;
    };
  }

  /** Makes one open file or directory durable. A WAL segment has its full size from the start: its data is enough. */
  protected sync(fd: number, name: string): void {
    if (WAL_SEGMENT.test(name)) fs.fdatasyncSync(fd);
    else fs.fsyncSync(fd);
  }
}

/**
 * PostgreSQL on these files. `onLog` gets each line of its log and returns whether to print it too.
 * `durable` false leaves fsync off.
 */
export function startPglite(files: DurableFs, durable: boolean, onLog: (line: string) => boolean): Promise<PGlite> {
  const settings = [
    // fdatasync and O_DSYNC do not get through the WASM to the file system; fsync does.
    'wal_sync_method=fsync',
    // The default of 128 MB would be paid in memory; the whole store is rarely a tenth of that.
    'shared_buffers=32MB',
    'max_connections=5',
    'log_min_messages=warning',
  ];
  return PGlite.create({
    fs: files,
    startParams: [
      // -F is fsync off.
      ...PGlite.defaultStartParams.filter((parameter) => !durable || parameter !== '-F'),
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    // bigint and numeric as text, like the other driver: a tag has more bits than a JavaScript number.
    parsers: { [types.INT8]: asText, [types.NUMERIC]: asText },
    onStderr: onLog,
  });
}

function asText(text: string): string {
  return text;
}

/** fsync of one file or directory. */
export function syncPath(path: string): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** fsync of everything below `folder`, then of itself. */
export function syncTree(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) syncPath(path);
  }
  syncPath(folder);
}
