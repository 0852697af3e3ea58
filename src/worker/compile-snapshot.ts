// Turns verified items into what a worker serves from, aside from what it is serving now. A full snapshot compiles
// everything, a delta only what changed; both in slices. The result is swapped in by the holder.
import { compileFlag } from '../core/compile.ts';
import type { CompiledFlag, CompiledSegment, HashUser } from '../core/compiled.ts';
import type { ReadBlob } from '../snapshot/blob-file.ts';
import { type Sums, toggle } from '../snapshot/checksum.ts';
import type { Envelope } from '../snapshot/encoding.ts';
import type { ItemAddress, SnapshotItem } from '../snapshot/item.ts';
import { addressOf, mismatch } from '../snapshot/state.ts';
import { compileSegments, type HeldBlobs, NO_BLOBS } from './compile-segments.ts';
import type { ServingEnvironment, ServingKey, ServingSnapshot } from './serving.ts';
import { compileKey, compileSecret } from './serving-key.ts';
import { createSlices, type Slices } from './slices.ts';

/** A serving snapshot with what is needed to take the next delta. */
export interface HeldSnapshot {
  readonly serving: ServingSnapshot;
  readonly sums: Readonly<Sums>;
  /** address -> tag of each item; shared from one revision to the next, and owned by the newest. */
  readonly tags: Map<string, bigint>;
  readonly blobs: HeldBlobs;
}

/** What compiling needs from outside: the files of packed ids, and the hash they are looked up by. */
export interface CompileDeps {
  readonly readBlob: ReadBlob;
  readonly hashUser: HashUser;
  /** By which slices are measured, in milliseconds. Left out: the process's clock. */
  readonly now?: () => number;
}

export type Compiled =
  | { readonly ok: true; readonly held: HeldSnapshot }
  | { readonly ok: false; readonly reason: string };

export async function compileSnapshot(envelope: Envelope, deps: CompileDeps): Promise<Compiled> {
  const slices = createSlices(deps.now);
  const sums: Sums = { keys: 0n, rest: 0n };
  const tags = new Map<string, bigint>();
  const environmentJson = new Map<string, string>();
  const flags = new Map<string, CompiledFlag[]>();
  const segmentItems: SnapshotItem[] = [];
  const keysById = new Map<string, ServingKey>();
  let streamSecret: Uint8Array | undefined;
  for (const item of envelope.puts) {
    toggle(sums, item.kind, item.tag);
    tags.set(addressOf(item), item.tag);
    if (item.kind === 'environment') environmentJson.set(item.id, item.json);
    else if (item.kind === 'flag') listOf(flags, item.environment).push(compileFlag(item.json, item));
    else if (item.kind === 'segment') segmentItems.push(item);
    else if (item.kind === 'key') {
      const key = compileKey(item.json);
      if (key !== undefined) keysById.set(item.id, key);
    } else if (item.kind === 'secret') streamSecret = compileSecret(item.json);
    await slices.pause();
  }
  const wrong = mismatch(sums, envelope.head);
  if (wrong !== undefined) return { ok: false, reason: wrong };
  const { segments, blobs } = await compileSegments(NO_BLOBS, segmentItems, [], {
    readBlob: deps.readBlob,
    hash: deps.hashUser,
    slices,
  });
  const segmentsOf = new Map<string, CompiledSegment[]>();
  for (const segment of segments) listOf(segmentsOf, segment.environment).push(segment);
  const environments = new Map<string, ServingEnvironment>();
  for (const [environment, json] of environmentJson) {
    const sorted = (flags.get(environment) ?? []).sort((a, b) => (a.flagId < b.flagId ? -1 : 1));
    await slices.pause();
    environments.set(environment, {
      environment,
      json,
      changedAt: envelope.head.changedAt[environment] ?? 0,
      flags: new Map(sorted.map((flag) => [flag.flagId, flag])),
      segments: new Map(bySegmentId(segmentsOf.get(environment) ?? [])),
    });
    await slices.pause();
  }
  const keysByHash = new Map([...keysById.values()].map((key) => [key.keyHash, key]));
  const { epoch, revision } = envelope.head;
  const serving = { epoch, revision, environments, keysByHash, keysById, streamSecret };
  return { ok: true, held: { serving, sums, tags, blobs } };
}

/** What a delta says of one environment. */
interface EnvironmentDelta {
  json: string | undefined;
  removed: boolean;
  readonly flags: Map<string, CompiledFlag | undefined>;
  readonly segments: Map<string, CompiledSegment | undefined>;
}

export async function compileDelta(base: HeldSnapshot, envelope: Envelope, deps: CompileDeps): Promise<Compiled> {
  const slices = createSlices(deps.now);
  const sums: Sums = { ...base.sums };
  const puts: SnapshotItem[] = [];
  const environmentDeltas = new Map<string, EnvironmentDelta>();
  const keys = new Map<string, ServingKey | undefined>();
  let { streamSecret } = base.serving;
  for (const put of envelope.puts) {
    puts.push(put);
    toggleOut(sums, base.tags, put);
    toggle(sums, put.kind, put.tag);
    if (put.kind === 'environment') deltaOf(environmentDeltas, put.id).json = put.json;
    else if (put.kind === 'flag')
      deltaOf(environmentDeltas, put.environment).flags.set(put.id, compileFlag(put.json, put));
    else if (put.kind === 'key') keys.set(put.id, compileKey(put.json));
    else if (put.kind === 'secret') streamSecret = compileSecret(put.json);
    await slices.pause();
  }
  const removes = [...envelope.removes];
  for (const remove of removes) {
    toggleOut(sums, base.tags, remove);
    if (remove.kind === 'environment') deltaOf(environmentDeltas, remove.id).removed = true;
    else if (remove.kind === 'flag') deltaOf(environmentDeltas, remove.environment).flags.set(remove.id, undefined);
    else if (remove.kind === 'segment')
      deltaOf(environmentDeltas, remove.environment).segments.set(remove.id, undefined);
    else if (remove.kind === 'key') keys.set(remove.id, undefined);
    else if (remove.kind === 'secret') streamSecret = undefined;
  }
  const wrong = mismatch(sums, envelope.head);
  if (wrong !== undefined) return { ok: false, reason: wrong };

  const { segments, blobs } = await compileSegments(base.blobs, puts.filter(isSegment), removes.filter(isSegment), {
    readBlob: deps.readBlob,
    hash: deps.hashUser,
    slices,
  });
  for (const segment of segments)
    deltaOf(environmentDeltas, segment.environment).segments.set(segment.segmentId, segment);
  const environments = await applyEnvironments(base.serving, environmentDeltas, envelope.head.changedAt, slices);
  const applied = await applyKeys(base.serving, keys, slices);
  // From here on nothing can fail: the tags move on to the new snapshot.
  for (const remove of removes) base.tags.delete(addressOf(remove));
  for (const put of puts) base.tags.set(addressOf(put), put.tag);
  const { epoch, revision } = envelope.head;
  const serving = { epoch, revision, environments, ...applied, streamSecret };
  return { ok: true, held: { serving, sums, tags: base.tags, blobs } };
}

async function applyEnvironments(
  serving: ServingSnapshot,
  deltas: ReadonlyMap<string, EnvironmentDelta>,
  changedAt: Readonly<Record<string, number>>,
  slices: Slices,
): Promise<ReadonlyMap<string, ServingEnvironment>> {
  if (deltas.size === 0) return serving.environments;
  const environments = new Map(serving.environments);
  for (const [name, delta] of deltas) {
    const old = environments.get(name);
    const json = delta.json ?? old?.json;
    if (delta.removed || json === undefined) {
      environments.delete(name);
      continue;
    }
    environments.set(name, {
      environment: name,
      json,
      changedAt: changedAt[name] ?? old?.changedAt ?? 0,
      flags: await mergeInOrder(old?.flags ?? new Map(), delta.flags, slices),
      segments: await mergeInOrder(old?.segments ?? new Map(), delta.segments, slices),
    });
  }
  return environments;
}

/** A map in order of id: one walk over the old one, with what changed replaced, dropped or slipped in. */
async function mergeInOrder<T>(
  old: ReadonlyMap<string, T>,
  changed: ReadonlyMap<string, T | undefined>,
  slices: Slices,
): Promise<ReadonlyMap<string, T>> {
  if (changed.size === 0) return old;
  const added = [...changed].filter(([id, item]) => item !== undefined && !old.has(id)) as [string, T][];
  added.sort(([a], [b]) => (a < b ? -1 : 1));
  const merged = new Map<string, T>();
  let next = 0;
  let walked = 0;
  for (const [id, item] of old) {
    for (let insert = added[next]; insert !== undefined && insert[0] < id; insert = added[++next]) {
      merged.set(...insert);
    }
    if (!changed.has(id)) merged.set(id, item);
    else {
      const replacement = changed.get(id);
      if (replacement !== undefined) merged.set(id, replacement);
    }
    if (++walked % 1024 === 0) await slices.pause();
  }
  for (const insert of added.slice(next)) merged.set(...insert);
  return merged;
}

function bySegmentId(segments: readonly CompiledSegment[]): readonly (readonly [string, CompiledSegment])[] {
  return segments.map((segment) => [segment.segmentId, segment] as const).sort(([a], [b]) => (a < b ? -1 : 1));
}

function isSegment({ kind }: ItemAddress): boolean {
  return kind === 'segment';
}

async function applyKeys(
  serving: ServingSnapshot,
  changed: ReadonlyMap<string, ServingKey | undefined>,
  slices: Slices,
): Promise<Pick<ServingSnapshot, 'keysByHash' | 'keysById'>> {
  if (changed.size === 0) return { keysByHash: serving.keysByHash, keysById: serving.keysById };
  const keysByHash = new Map(serving.keysByHash);
  await slices.pause();
  const keysById = new Map(serving.keysById);
  await slices.pause();
  // All old hashes go before any new one comes: a key may have the hash of one that is revoked in the same delta.
  for (const keyId of changed.keys()) {
    const old = keysById.get(keyId);
    if (old !== undefined) keysByHash.delete(old.keyHash);
  }
  for (const [keyId, key] of changed) {
    if (key === undefined) keysById.delete(keyId);
    else {
      keysById.set(keyId, key);
      keysByHash.set(key.keyHash, key);
    }
  }
  return { keysByHash, keysById };
}

function toggleOut(sums: Sums, tags: ReadonlyMap<string, bigint>, address: ItemAddress): void {
  const tag = tags.get(addressOf(address));
  if (tag !== undefined) toggle(sums, address.kind, tag);
}

function listOf<T>(lists: Map<string, T[]>, environment: string): T[] {
  let list = lists.get(environment);
  if (list === undefined) lists.set(environment, (list = []));
  return list;
}

function deltaOf(deltas: Map<string, EnvironmentDelta>, environment: string): EnvironmentDelta {
  let delta = deltas.get(environment);
  if (delta === undefined) {
    delta = { json: undefined, removed: false, flags: new Map(), segments: new Map() };
    deltas.set(environment, delta);
  }
  return delta;
}
