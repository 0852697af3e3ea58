// DATA_DIR and what running processes leave in DATA_DIR/run: who they are, and where the primary's socket is.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DataDirUnusable } from './owned.ts';
import { formatIdentity, ownIdentity, type ProcessIdentity, parseIdentity, sameProcess } from './process-identity.ts';

/** The kernel takes 107 bytes (103 on macOS) and Node cuts a longer path in silence. */
export const SOCKET_PATH_BYTES_MAX = 100;

export type PidName = 'launcher' | 'primary' | `worker-${number}`;

export interface WorkerPid {
  readonly slot: number;
  /** Of the process that wrote the file; it may be dead by now. */
  readonly identity: ProcessIdentity;
}

export interface RunDir {
  /** DATA_DIR, absolute and free of links. */
  readonly dataDir: string;
  /** DATA_DIR/run. */
  readonly path: string;
  /** DATA_DIR/run/blobs: packed ids by the name of their content, for the workers to read. */
  readonly blobs: string;
  /** DATA_DIR/run/uploads: lists of ids on their way from a worker to the primary. */
  readonly uploads: string;
  /** Writes `NAME.pid` in one step, so that no reader sees half of it. Default: this process. */
  writePid(name: PidName, identity?: ProcessIdentity): void;
  /** Removes `NAME.pid` if it names exactly this process (default: the calling one), and leaves any other's alone. */
  removePid(name: PidName, identity?: ProcessIdentity): void;
  /** undefined when the file is missing or is no pid file. */
  readPid(name: PidName): ProcessIdentity | undefined;
  /** Every worker on file, dead or alive, by slot. */
  workers(): readonly WorkerPid[];
  /**
   * Where a socket of this name lives: in the run folder, or, when that path would be over 100 bytes, in a private folder
   * under the temporary directory that `run/socket-path` names. Throws DataDirUnusable when that folder is not private.
   */
  socketPath(name?: string): string;
}

/** Makes DATA_DIR and DATA_DIR/run, 0700, where they are missing. Throws DataDirUnusable. */
export function openRunDir(dataDir: string): RunDir {
  const { root, path } = makeFolders(dataDir);
  const file = (name: PidName): string => join(path, `${name}.pid`);
  const readPid = (name: PidName): ProcessIdentity | undefined => parseIdentity(readText(file(name)) ?? '');

  return {
    dataDir: root,
    path,
    blobs: join(path, 'blobs'),
    uploads: join(path, 'uploads'),
    writePid(name, identity = ownIdentity()) {
      const temporary = `${file(name)}.${process.pid}.tmp`;
      writeNew(temporary, `${formatIdentity(identity)}\n`, 'w');
      renameSync(temporary, file(name));
    },
    removePid(name, identity = ownIdentity()) {
      const written = readPid(name);
      if (written !== undefined && sameProcess(written, identity)) rmSync(file(name), { force: true });
    },
    readPid,
    workers() {
      const found: WorkerPid[] = [];
      for (const entry of readdirSync(path)) {
        const slot = /^worker-([0-9]{1,6})\.pid$/.exec(entry)?.[1];
        if (slot === undefined) continue;
        const identity = readPid(`worker-${Number(slot)}`);
        if (identity !== undefined) found.push({ slot: Number(slot), identity });
      }
      return found.sort((a, b) => a.slot - b.slot);
    },
    socketPath(name = 'primary.sock') {
      const direct = join(path, name);
      return Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX ? direct : join(privateFolder(path), name);
    },
  };
}

function makeFolders(dataDir: string): { readonly root: string; readonly path: string } {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const root = realpathSync(dataDir);
    const path = join(root, 'run');
    mkdirSync(path, { recursive: true, mode: 0o700 });
    keepPrivate(root);
    keepPrivate(path);
    for (const folder of ['blobs', 'uploads']) mkdirSync(join(path, folder), { recursive: true, mode: 0o700 });
    return { root, path };
  } catch (error) {
    const reason = (error as Error).message;
    throw new DataDirUnusable(
      `DATA_DIR ${dataDir} cannot be used: ${reason}; make it a directory this user can write to.`,
      {
        cause: error,
      },
    );
  }
}

// The store, the first key and the sockets are in there. A volume that belongs to another user keeps the mode its owner chose.
function keepPrivate(path: string): void {
  const { mode, uid } = statSync(path);
  if ((mode & 0o077) !== 0 && uid === process.getuid?.()) chmodSync(path, 0o700);
}

// Once named the folder stays the same: one that a cleaner of temporary files took away is made again in the same place.
function privateFolder(path: string): string {
  const note = join(path, 'socket-path');
  if (readText(note) === undefined) nameFolder(path, note);
  const folder = readText(note)?.trim() ?? '';
  const joined = join(folder, 'primary.sock');
  if (!folder.startsWith('/') || Buffer.byteLength(joined) > SOCKET_PATH_BYTES_MAX) {
    throw new DataDirUnusable(
      `${note} does not name a folder for sockets ("${folder}"); remove that file, and set TMPDIR or DATA_DIR to a shorter path.`,
    );
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || (found.mode & 0o077) !== 0 || found.uid !== (process.getuid?.() ?? found.uid)) {
    throw new DataDirUnusable(
      `${folder}, named in ${note}, is not a private folder of this user; remove ${note} and start again.`,
    );
  }
  return folder;
}

// The name is random, so that nobody can take it first. A link appears whole and only once: of two processes that start
// together both then read the same name.
function nameFolder(path: string, note: string): void {
  const temporary = join(path, `socket-path.${process.pid}.tmp`);
  writeNew(temporary, `${join(resolve(tmpdir()), `burgee-${randomBytes(6).toString('hex')}`)}\n`, 'w');
  try {
    linkSync(temporary, note);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Writes a small file whole, mode 0600. Flag `wx` refuses an existing one with EEXIST. Where it cannot be filled (a full
 * disk) none is left: who finds an empty lock takes it for one that is being written, and waits.
 */
export function writeNew(path: string, text: string, flag: 'w' | 'wx'): void {
  const descriptor = openSync(path, flag, 0o600);
  try {
    writeSync(descriptor, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** A small file's text; undefined when there is no such file. Throws on any other failure. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The system's error code, such as "ENOENT"; undefined for any other error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
