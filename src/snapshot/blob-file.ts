// Reads packed ids from the files in DATA_DIR/run/blobs. It does so in small bites, so that requests go on between them,
// and believes nothing that does not have the length and the SHA-256 by which the snapshot names it.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { HashUser } from '../core/compiled.ts';
import { openPackedIds, type PackedIds } from '../core/packed-ids.ts';
import type { BlobRef } from './item.ts';

/** Rejects when there is no such file, or when it is another one. */
export type ReadBlob = (ref: BlobRef) => Promise<PackedIds>;

/** Hashing so much takes a fraction of a millisecond (npm run bench:segments). */
const BITE_BYTES = 262_144;

/** @param folder DATA_DIR/run/blobs */
export function createReadBlob(folder: string, hash: HashUser): ReadBlob {
  return async (ref) => {
    const file = await open(join(folder, ref.hash));
    try {
      return openPackedIds(await readVerified(file, ref), hash);
    } finally {
      await file.close();
    }
  };
}

async function readVerified(file: FileHandle, ref: BlobRef): Promise<Uint8Array> {
  const { size } = await file.stat();
  if (size !== ref.bytes) throw new Error(`blob ${ref.hash} has ${size} bytes and not ${ref.bytes}`);
  // Of its own: a slice of the shared pool would keep the whole pool.
  const bytes = Buffer.allocUnsafeSlow(size);
  const sha = createHash('sha256');
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(BITE_BYTES, size - at), at);
    if (bytesRead === 0) throw new Error(`blob ${ref.hash} ends after ${at} bytes`);
    sha.update(bytes.subarray(at, at + bytesRead));
    at += bytesRead;
  }
  if (sha.digest('hex') !== ref.hash) throw new Error(`blob ${ref.hash} has other bytes than its name says`);
  return bytes;
}
