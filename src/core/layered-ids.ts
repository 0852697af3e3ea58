// Hot path.
// A list of ids as it is served: packed sets over each other, and the newest changes over them. The newest that names
// an id decides, so a look-up goes from the newest to the oldest and stops at the first that does.
import type { HashUser, IdSet } from './compiled.ts';
import type { OpenedLayer } from './pack-ids.ts';
import { hashId } from './packed-ids.ts';

export interface OpenedIdList {
  /** Oldest first. */
  readonly layers: readonly OpenedLayer[];
  readonly tail: { readonly adds: readonly string[]; readonly drops: readonly string[] };
  /** Ids in the list, all taken together. */
  readonly count: number;
}

/** undefined: there is nothing in it. */
export function layerIds(list: OpenedIdList, hash: HashUser): IdSet | undefined {
  const adds = setOf(list.tail.adds);
  const drops = setOf(list.tail.drops);
  const layers = list.layers;
  if (adds === undefined && layers.length === 0) return undefined;

  /** From the newest down to layer `oldest`: whether the id is in; undefined: none of them names it. */
  function verdict(id: string, oldest: number): boolean | undefined {
    if (adds?.has(id) === true) return true;
    if (drops?.has(id) === true) return false;
    if (layers.length === oldest) return undefined;
    const idHash = hashId(id, hash);
    for (let i = layers.length - 1; i >= oldest; i--) {
      const layer = layers[i] as OpenedLayer;
      if (layer.adds?.hasHashed(id, idHash) === true) return true;
      if (layer.drops?.hasHashed(id, idHash) === true) return false;
    }
    return undefined;
  }

  return {
    count: list.count,
    has: (id) => verdict(id, 0) === true,
    *ids() {
      for (let i = 0; i < layers.length; i++) {
        for (const id of layers[i]?.adds?.ids() ?? []) if (verdict(id, i + 1) === undefined) yield id;
      }
      yield* list.tail.adds;
    },
  };
}

/** Cold: once a publish. */
function setOf(ids: readonly string[]): ReadonlySet<string> | undefined {
  return ids.length === 0 ? undefined : new Set(ids);
}
