// Folds the tails of lists into layers of packed ids. A list means the same before and after, so that a fold makes no
// revision and no version; whoever still has the old layers answers the same from them.
import { foldFrom, hashesOf, isFoldDue, isSameLayers, parseIdList, withFolded } from '../core/id-list.ts';
import type { IdListRef } from '../core/segment.ts';
import type { SegmentList } from '../ipc/messages.ts';
import { holdBlobs, putBlob } from './blobs.ts';
import type { SegmentBlobs } from './segment-blobs.ts';
import type { SegmentAddress } from './segment-rows.ts';
import type { Sql } from './sql.ts';

export interface ListAddress extends SegmentAddress {
  readonly list: SegmentList;
}

export interface Compaction {
  /** Folds the list in its turn, if it is due then. Nobody waits for it. */
  consider(address: ListAddress): void;
  /** Folds what the tail has now, due or not. */
  fold(address: ListAddress): Promise<void>;
  /** Ends after what is under way. */
  close(): Promise<void>;
}

export function createCompaction(deps: {
  readonly sql: Sql;
  readonly blobs: SegmentBlobs;
  readonly now: () => Date;
  readonly onError: (error: unknown) => void;
}): Compaction {
  const { sql } = deps;
  const waiting = new Map<string, ListAddress>();
  let running: Promise<void> | undefined;
  let closed = false;

  async function work(): Promise<void> {
    for (;;) {
      const [next] = waiting;
      if (next === undefined || closed) {
        // At once, so that nobody adds to a loop that has ended.
        running = undefined;
        return;
      }
      const [mark, address] = next;
      waiting.delete(mark);
      try {
        const list = await readList(sql, address);
        if (list !== undefined && isFoldDue(list)) await foldList(address, list);
      } catch (error) {
        deps.onError(error);
      }
    }
  }

  /** What is slow happens outside of the transaction, which then puts the layer under whatever the tail has become. */
  async function foldList(address: ListAddress, list: IdListRef): Promise<void> {
    const from = foldFrom(list);
    const { adds, drops } = await deps.blobs.fold({ layers: list.layers.slice(from), tail: list.tail }, from === 0);
    const made = [adds, drops].filter((blob) => blob !== null);
    for (const blob of made) await putBlob(sql, blob, deps.now());
    const layer = { adds: adds?.ref ?? null, drops: drops?.ref ?? null };
    await sql.transaction(async (tx) => {
      await tx.query("SELECT set_config('lock_timeout', '2s', true)");
      const [row] = await tx.query<Record<SegmentList | 'version', string>>(
        'SELECT version, included, excluded FROM segments WHERE environment = $1 AND segment_id = $2 FOR UPDATE',
        [address.environment, address.segmentId],
      );
      const now = row === undefined ? undefined : parseIdList(row[address.list]);
      const other = row === undefined ? undefined : parseIdList(row[otherOf(address.list)]);
      // Somebody else folded it, or it is another list by now.
      if (row === undefined || now === undefined || other === undefined) return;
      if (!isSameLayers(now.layers, list.layers)) return;
      const isKept = await holdBlobs(
        tx,
        made.map(({ ref }) => ref.hash),
      );
      if (!isKept) return;
      const next = withFolded(now, list, from, layer);
      await tx.query(
        `UPDATE segments SET ${address.list} = $3, blobs = $4::text[] WHERE environment = $1 AND segment_id = $2`,
        [address.environment, address.segmentId, JSON.stringify(next), hashesOf(next, other)],
      );
      // A new base costs as much as all there is, so it serves the versions too: the next ones lead back to here.
      if (from === 0) {
        await tx.query(
          `UPDATE segment_versions SET ${address.list} = $4, blobs = blobs || $5::text[]
            WHERE environment = $1 AND segment_id = $2 AND version = $3::bigint`,
          [address.environment, address.segmentId, row.version, JSON.stringify(next), hashesOf(next)],
        );
      }
    });
  }

  return {
    consider(address) {
      if (closed) return;
      waiting.set(`${address.environment}/${address.segmentId}/${address.list}`, address);
      running ??= work();
    },
    async fold(address) {
      const list = await readList(sql, address);
      if (list !== undefined && list.tail.adds.length + list.tail.drops.length > 0) await foldList(address, list);
    },
    async close() {
      closed = true;
      await running;
    },
  };
}

async function readList(sql: Sql, { environment, segmentId, list }: ListAddress): Promise<IdListRef | undefined> {
  const [row] = await sql.query<{ list: string }>(
    `SELECT ${list} AS list FROM segments WHERE environment = $1 AND segment_id = $2 AND archived_at IS NULL`,
    [environment, segmentId],
  );
  return row === undefined ? undefined : parseIdList(row.list);
}

function otherOf(list: SegmentList): SegmentList {
  return list === 'included' ? 'excluded' : 'included';
}
