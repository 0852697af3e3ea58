// How a list of ids changes: small changes gather in its tail, and when that has grown they are folded into layers of
// packed ids. Layers are few and each is much larger than the next, so that adding one id to a million moves one id.
import { at, kindOf, report } from './issues.ts';
import { asFields, own, type Reading, readArray, startReading } from './reading.ts';
import type { BlobRef, IdLayer, IdListRef } from './segment.ts';
import { utf8Length } from './text.ts';

/** Ids that come in and ids that go; none is in both. */
export interface MemberChange {
  readonly adds: readonly string[];
  readonly drops: readonly string[];
}

export const EMPTY_LIST: IdListRef = { layers: [], tail: { adds: [], drops: [] }, count: 0 };

/** Past either of these the tail is folded soon; every worker holds it as a set, and every change is sent with it. */
export const TAIL_IDS_DUE = 4096;
export const TAIL_BYTES_DUE = 262_144;
/** The second layer becomes one with the base past this, and past an eighth of the base. */
const YOUNG_IDS_DUE = 65_536;
const BASE_SHARE = 8;
/** The store keeps two or three; a look-up asks each. */
const LAYERS_MAX = 16;
const HASH_PATTERN = /^[0-9a-f]{64}$/;

/**
 * What of a wanted change is one: nobody is put in twice, or taken out who is not in.
 * @param inLayers whether the layers, without the tail, have the id
 */
export function realChange(list: IdListRef, wanted: MemberChange, inLayers: (id: string) => boolean): MemberChange {
  const adds = new Set(list.tail.adds);
  const drops = new Set(list.tail.drops);
  const isIn = (id: string): boolean => adds.has(id) || (!drops.has(id) && inLayers(id));
  return {
    adds: [...new Set(wanted.adds)].filter((id) => !isIn(id)),
    drops: [...new Set(wanted.drops)].filter(isIn),
  };
}

/** The list after real changes. Of the tail's ids, `adds` are in no layer's sum and `drops` are: this keeps it so. */
export function withChanges(list: IdListRef, changes: Iterable<MemberChange>): IdListRef {
  const adds = new Set(list.tail.adds);
  const drops = new Set(list.tail.drops);
  let count = list.count;
  for (const change of changes) {
    for (const id of change.adds) if (!drops.delete(id)) adds.add(id);
    for (const id of change.drops) if (!adds.delete(id)) drops.add(id);
    count += change.adds.length - change.drops.length;
  }
  return { layers: list.layers, tail: { adds: [...adds], drops: [...drops] }, count };
}

export function tailSize(list: IdListRef): { readonly ids: number; readonly bytes: number } {
  const { adds, drops } = list.tail;
  let bytes = 0;
  for (const ids of [adds, drops]) for (const id of ids) bytes += utf8Length(id);
  return { ids: adds.length + drops.length, bytes };
}

export function isFoldDue(list: IdListRef): boolean {
  const { ids, bytes } = tailSize(list);
  return ids > TAIL_IDS_DUE || bytes > TAIL_BYTES_DUE;
}

/** Index of the first layer that becomes one with those above it and the tail; that of none: the tail alone becomes one. */
export function foldFrom({ layers, tail }: IdListRef): number {
  const [base, ...young] = layers;
  if (base === undefined) return 0;
  const youngIds =
    young.reduce((sum, { adds, drops }) => sum + (adds?.count ?? 0) + (drops?.count ?? 0), 0) +
    tail.adds.length +
    tail.drops.length;
  return youngIds > Math.max(YOUNG_IDS_DUE, (base.adds?.count ?? 0) / BASE_SHARE) ? 0 : 1;
}

/**
 * The list as it is `now`, with `folded` in place of its layers from index `from` on and the tail that it had `then`:
 * what was changed since stays in the tail.
 */
export function withFolded(now: IdListRef, then: IdListRef, from: number, folded: IdLayer): IdListRef {
  const before = { adds: new Set(then.tail.adds), drops: new Set(then.tail.drops) };
  const after = { adds: new Set(now.tail.adds), drops: new Set(now.tail.drops) };
  const tail = {
    adds: [...minus(after.adds, before.adds), ...minus(before.drops, after.drops)],
    drops: [...minus(after.drops, before.drops), ...minus(before.adds, after.adds)],
  };
  const isEmpty = folded.adds === null && (from === 0 || folded.drops === null);
  return { layers: [...now.layers.slice(0, from), ...(isEmpty ? [] : [folded])], tail, count: now.count };
}

function minus(ids: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] {
  return [...ids].filter((id) => !others.has(id));
}

export function isSameLayers(a: readonly IdLayer[], b: readonly IdLayer[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ adds, drops }, i) => adds?.hash === b[i]?.adds?.hash && drops?.hash === b[i]?.drops?.hash)
  );
}

/** Hashes of the blobs that lists name, each once. */
export function hashesOf(...lists: readonly IdListRef[]): readonly string[] {
  const refs = lists.flatMap(({ layers }) => layers.flatMap(({ adds, drops }) => [adds, drops]));
  return [...new Set(refs.flatMap((ref) => (ref === null ? [] : [ref.hash])))];
}

/** A list from the JSON of one; undefined when it is none. */
export function parseIdList(json: string): IdListRef | undefined {
  const reading = startReading('stored', undefined, false);
  const list = readIdList(reading, parseJson(json), '');
  return reading.issues.length === 0 ? list : undefined;
}

/** What is no list is reported; then an empty one comes back. */
export function readIdList(reading: Reading, value: unknown, path: string): IdListRef {
  const fields = asFields(value) ?? {};
  const tail = asFields(own(fields, 'tail')) ?? {};
  const layers = readArray(reading, own(fields, 'layers'), at(path, 'layers'), LAYERS_MAX);
  return {
    layers: layers.map((layer, i) => {
      const layerPath = at(at(path, 'layers'), i);
      const sets = asFields(layer) ?? {};
      return {
        adds: readBlobRef(reading, own(sets, 'adds'), at(layerPath, 'adds')),
        drops: readBlobRef(reading, own(sets, 'drops'), at(layerPath, 'drops')),
      };
    }),
    tail: {
      adds: readTexts(reading, own(tail, 'adds'), at(at(path, 'tail'), 'adds')),
      drops: readTexts(reading, own(tail, 'drops'), at(at(path, 'tail'), 'drops')),
    },
    count: readSize(reading, own(fields, 'count'), at(path, 'count')),
  };
}

/** The hash becomes the name of a file, so that nothing but a hash may pass. */
function readBlobRef(reading: Reading, value: unknown, path: string): BlobRef | null {
  if (value === null) return null;
  const fields = asFields(value) ?? {};
  const hash = own(fields, 'hash');
  if (typeof hash !== 'string' || !HASH_PATTERN.test(hash)) {
    report(reading.issues, at(path, 'hash'), 'must be a SHA-256 in lower-case hex');
    return null;
  }
  return {
    hash,
    bytes: readSize(reading, own(fields, 'bytes'), at(path, 'bytes')),
    count: readSize(reading, own(fields, 'count'), at(path, 'count')),
  };
}

function readTexts(reading: Reading, value: unknown, path: string): readonly string[] {
  if (areTexts(value)) return value;
  report(reading.issues, path, `must be an array of strings, not ${kindOf(value)}`);
  return [];
}

function readSize(reading: Reading, value: unknown, path: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  report(reading.issues, path, 'must be an integer from 0');
  return 0;
}

/** A change from the JSON of one; undefined when it is none. */
export function parseChange(json: string): MemberChange | undefined {
  const fields = asFields(parseJson(json)) ?? {};
  const adds = own(fields, 'adds');
  const drops = own(fields, 'drops');
  return areTexts(adds) && areTexts(drops) ? { adds, drops } : undefined;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((id) => typeof id === 'string');
}
