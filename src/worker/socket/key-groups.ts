// Whose connections are open: those of one key stand together, so that a new snapshot costs one look-up a key and not
// one a connection. A key that is revoked, expired or replaced loses its connections, idle ones too.
import { limits } from '../../limits.ts';
import type { ServingKey, ServingSnapshot } from '../serving.ts';
import { createSlices } from '../slices.ts';

export interface Member {
  /** The key is none any more. */
  revoked(): void;
}

export interface KeyGroup {
  readonly members: ReadonlySet<Member>;
  /** As in the snapshot served now; undefined: it is none any more. */
  key(nowMs: number): ServingKey | undefined;
  /** As it was last known to be; for what is told of a connection that is over. */
  readonly lastKey: ServingKey;
}

export interface KeyGroups {
  /** Whether the key may have one connection more. */
  hasRoom(key: ServingKey): boolean;
  join(key: ServingKey, member: Member): KeyGroup;
  leave(group: KeyGroup, member: Member): void;
  /** To be called after each swap, and each second for keys that expire. */
  sweep(): void;
}

interface Group extends KeyGroup {
  readonly members: Set<Member>;
}

export function createKeyGroups(deps: {
  readonly current: () => ServingSnapshot | undefined;
  readonly now: () => number;
  readonly onFailure: (error: unknown) => void;
}): KeyGroups {
  const groups = new Map<string, Group>();
  let isSweeping = false;
  let isDirty = false;

  function makeGroup(first: ServingKey): Group {
    let lastKey = first;
    let seen: ServingSnapshot | undefined;
    return {
      members: new Set(),
      get lastKey() {
        return lastKey;
      },
      key(nowMs) {
        const snapshot = deps.current();
        if (snapshot !== seen) {
          const found = snapshot?.keysByHash.get(lastKey.keyHash);
          if (found === undefined) return undefined;
          lastKey = found;
          seen = snapshot;
        }
        // Written so that an expiry that is not a number refuses.
        return nowMs < lastKey.expiresAtMs ? lastKey : undefined;
      },
    };
  }

  async function sweepAll(): Promise<void> {
    isSweeping = true;
    try {
      const slices = createSlices();
      while (isDirty) {
        isDirty = false;
        for (const group of groups.values()) {
          if (group.key(deps.now()) === undefined) {
            for (const member of group.members) {
              member.revoked();
              await slices.pause();
            }
          }
          await slices.pause();
        }
      }
    } finally {
      // Also after a failure: else no key would lose its connections ever again.
      isSweeping = false;
    }
  }

  return {
    hasRoom: (key) => (groups.get(key.keyHash)?.members.size ?? 0) < limits.socketsPerKeyMax,
    join(key, member) {
      let group = groups.get(key.keyHash);
      if (group === undefined) groups.set(key.keyHash, (group = makeGroup(key)));
      group.members.add(member);
      return group;
    },
    leave(group, member) {
      const own = groups.get(group.lastKey.keyHash);
      if (own?.members.delete(member) && own.members.size === 0) groups.delete(group.lastKey.keyHash);
    },
    sweep() {
      isDirty = true;
      if (!isSweeping) sweepAll().catch(deps.onFailure);
    },
  };
}
