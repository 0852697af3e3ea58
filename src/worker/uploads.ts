// Files that clients send, on their way to the primary: received into DATA_DIR/run/uploads, named in a command, removed
// when it is answered. They never stand whole in memory.
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../limits.ts';

export interface Upload {
  /** Of the file below DATA_DIR/run/uploads. */
  readonly name: string;
  /** Written so far. */
  readonly bytes: number;
  /** Appends; one call at a time. Rejects when the disk does not take it. */
  write(chunk: Uint8Array): Promise<void>;
  /** No more is written: another process may read it. */
  finish(): Promise<void>;
  /** Takes the file away and gives its place to another. May be called twice. Never rejects. */
  remove(): Promise<void>;
}

export interface Uploads {
  /** A new, empty file; undefined when `limits.uploadsInFlightMax` are there already. */
  begin(): Promise<Upload | undefined>;
}

/** `folder`: DATA_DIR/run/uploads. What a killed worker leaves there the primary takes away. */
export function createUploads(deps: {
  readonly folder: string;
  readonly warn: (fields: object, message: string) => void;
}): Uploads {
  let inFlight = 0;

  function told(error: unknown): never {
    deps.warn({ err: error }, 'an uploaded file could not be written');
    throw error;
  }

  async function create(): Promise<Upload> {
    await mkdir(deps.folder, { recursive: true, mode: 0o700 });
    const name = randomBytes(16).toString('hex');
    const path = join(deps.folder, name);
    const file = await open(path, 'wx', 0o600);
    return makeUpload(name, path, file, () => {
      inFlight -= 1;
    });
  }

  function makeUpload(name: string, path: string, file: FileHandle, onRemoved: () => void): Upload {
    let bytes = 0;
    let closing: Promise<void> | undefined;
    let removed = false;
    const close = (): Promise<void> => (closing ??= file.close());
    return {
      name,
      get bytes() {
        return bytes;
      },
      async write(chunk) {
        await file.appendFile(chunk).catch(told);
        bytes += chunk.byteLength;
      },
      finish: close,
      async remove() {
        if (removed) return;
        removed = true;
        try {
          await close().catch(() => {});
          await rm(path, { force: true });
        } catch (error) {
          deps.warn({ err: error, path }, 'an uploaded file could not be removed');
        }
        onRemoved();
      },
    };
  }

  return {
    async begin() {
      if (inFlight >= limits.uploadsInFlightMax) return undefined;
      inFlight += 1;
      try {
        return await create();
      } catch (error) {
        inFlight -= 1;
        return told(error);
      }
    },
  };
}
