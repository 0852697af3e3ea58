// The thread that packs and folds lists of ids: a million take most of a second, which the primary's loop has not. What
// it makes lies in the folder of blobs when it answers, so that nobody has to write it there again.
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { CrowdedIds, mergeLayers, mergePacked, type OpenedLayer, packIdBytes, packIds } from '../../core/pack-ids.ts';
import { openPackedIds, type PackedIds } from '../../core/packed-ids.ts';
import type { BlobRef } from '../../core/segment.ts';
import { hashUser } from '../../kernel/murmur3.ts';
import { readIdLines } from './id-lines.ts';
import type { Folded, FoldTask, Made, Packed, PackTask } from './packing.ts';

/** A text, one id a line, as packed ids. */
export function pack(task: PackTask): Packed {
  const text = readFileSync(task.path);
  if (text.length !== task.bytes) throw new Error(`the upload has ${text.length} bytes and not ${task.bytes}`);
  const lines = readIdLines(text, task.idsMax);
  if (!lines.ok) return lines;
  try {
    return handOver({ ok: true, blob: make(task.folder, packIdBytes(lines.ids, hashUser)) }, (packed) => [packed.blob]);
  } catch (error) {
    if (!(error instanceof CrowdedIds)) throw error;
    return { ok: false, issues: [{ path: '', message: `has ${error.message}; such a list is not served` }] };
  }
}

/** Layers and the tail over them as one layer; over nothing there is nothing to drop. */
export function fold({ folder, list, isBase }: FoldTask): Folded {
  const layers: OpenedLayer[] = list.layers.map(({ adds, drops }) => ({
    adds: open(folder, adds),
    drops: open(folder, drops),
  }));
  const { adds, drops } = list.tail;
  layers.push({ adds: packed(adds), drops: packed(drops) });
  const merged = isBase ? { adds: mergePacked(layers, hashUser), drops: undefined } : mergeLayers(layers, hashUser);
  const folded: Folded = {
    adds: make(folder, merged.adds),
    drops: merged.drops === undefined ? null : make(folder, merged.drops),
  };
  return handOver(folded, (made) => [made.adds, made.drops]);
}

function open(folder: string, ref: BlobRef | null): PackedIds | undefined {
  if (ref === null) return undefined;
  const bytes = readFileSync(join(folder, ref.hash));
  if (sha256(bytes) !== ref.hash) throw new Error(`blob ${ref.hash} has other bytes than its name says`);
  return openPackedIds(bytes, hashUser);
}

function packed(ids: readonly string[]): PackedIds | undefined {
  return ids.length === 0 ? undefined : openPackedIds(packIds(ids, hashUser), hashUser);
}

/** null: there is no id in it. */
function make(folder: string, bytes: Uint8Array): Made | null {
  const { count } = openPackedIds(bytes, hashUser);
  if (count === 0) return null;
  const hash = sha256(bytes);
  const path = join(folder, hash);
  const temporary = `${path}.${process.pid}-${threadId}.tmp`;
  try {
    writeFileSync(temporary, bytes, { mode: 0o600 });
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  return { ref: { hash, bytes: bytes.byteLength, count }, bytes };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Megabytes change hands instead of being copied on the primary's loop. */
function handOver<T extends object>(value: T, blobs: (value: T) => readonly (Made | null)[]): T {
  const buffers = blobs(value).flatMap((made) => (made === null ? [] : [made.bytes.buffer]));
  const transferable = { [Piscina.transferableSymbol]: buffers, [Piscina.valueSymbol]: value };
  return Piscina.move(transferable as unknown as ArrayBuffer) as unknown as T;
}
