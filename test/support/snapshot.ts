// Snapshot content made by hand, with right sums, for tests that need no store.
import { toggle } from '../../src/snapshot/checksum.ts';
import type { DeltaContent, SnapshotContent, SnapshotHead, SnapshotItem } from '../../src/snapshot/item.ts';

export const EPOCH = '5f3c1d1e-7f0b-4f0c-9b2e-000000000001';

export function flagItem(
  id: string,
  revision: number,
  tag: bigint,
  fields: Record<string, unknown> = {},
): SnapshotItem {
  const json = JSON.stringify({
    flag_id: id,
    environment: 'prod',
    description: '',
    tags: [],
    owner: '',
    kind: 'release',
    enabled: true,
    type: 'boolean',
    rollout_percentage: 100,
    bucket_by: 'user_id',
    salt: null,
    targets: [],
    prerequisites: [],
    rules: [],
    version: 1,
    revision,
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    updated_by: 'test',
    ...fields,
  });
  return { kind: 'flag', environment: 'prod', id, revision, tag, json };
}

export function keyItem(id: string, revision: number, tag: bigint, hash: string): SnapshotItem {
  const json = JSON.stringify({
    key_id: id,
    key_hash: hash,
    name: id,
    scopes: ['admin'],
    environments: null,
    tags: null,
    rate_limit: 0,
    expires_at: null,
  });
  return { kind: 'key', environment: '', id, revision, tag, json };
}

export function secretItem(revision: number, tag: bigint, secret: string): SnapshotItem {
  return { kind: 'secret', environment: '', id: 'stream', revision, tag, json: JSON.stringify({ secret }) };
}

export function environmentItem(id: string, revision: number, tag: bigint): SnapshotItem {
  return {
    kind: 'environment',
    environment: '',
    id,
    revision,
    tag,
    json: JSON.stringify({ environment: id, revision }),
  };
}

export function headOf(revision: number, items: readonly SnapshotItem[], epoch = EPOCH): SnapshotHead {
  const sums = { keys: 0n, rest: 0n };
  for (const item of items) toggle(sums, item.kind, item.tag);
  return { epoch, revision, sumKeys: sums.keys, sumRest: sums.rest, changedAt: { prod: revision } };
}

export function contentOf(revision: number, items: readonly SnapshotItem[], epoch = EPOCH): SnapshotContent {
  return { head: headOf(revision, items, epoch), items };
}

/** The delta that leads from `before` to `after`. */
export function deltaBetween(before: SnapshotContent, after: SnapshotContent): DeltaContent {
  const old = new Map(before.items.map((item) => [`${item.kind}/${item.id}`, item]));
  const live = new Set(after.items.map((item) => `${item.kind}/${item.id}`));
  return {
    from: before.head.revision,
    head: after.head,
    puts: after.items.filter((item) => old.get(`${item.kind}/${item.id}`)?.tag !== item.tag),
    removes: before.items.filter((item) => !live.has(`${item.kind}/${item.id}`)),
  };
}
