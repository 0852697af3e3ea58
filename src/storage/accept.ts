// `burgee store accept`: a store that went back (a restored backup, a failover that lost commits) is taken as it is now.
// Its revision goes above every one that anybody has seen, so that no reader takes its content for that of an older one.
import type { CommandRequest } from '../ipc/messages.ts';
import { type Done, refuse, type Write } from './write.ts';

/**
 * Refuses a store that did not go back, unless `force` says so.
 * @param above the highest revision that anybody is known to have seen
 */
export async function acceptStore(
  write: Write,
  { above, force = false }: { readonly above: number; readonly force?: boolean | undefined },
): Promise<Done> {
  const before = write.revisionBefore;
  if (above <= before && !force) {
    const known = above === 0 ? 'no higher revision is known' : `the highest revision known is ${above}`;
    refuse(
      'INVALID_REQUEST',
      `the store did not go back: it is at revision ${before}, and ${known}; nothing was changed`,
    );
  }
  const revision = Math.max(write.revision, above + 1);
  await write.tx.query('UPDATE store SET revision = $1::bigint, changes_pruned_to = $1::bigint', [revision]);
  await write.tx.query(
    `INSERT INTO audit (revision, at, actor, action, kind, environment, id, request_id)
      VALUES ($1::bigint, $2::timestamptz, $3, 'store.accept', 'store', '', '', $4)`,
    [revision, write.now, write.actor, write.requestId],
  );
  if (write.kind === 'postgres') await write.tx.query("SELECT pg_notify('burgee', $1)", [String(revision)]);
  const body = JSON.stringify({ revision, previous_revision: before });
  return { ok: true, status: 200, headers: {}, body, revision };
}

/** Refuses what a node asks that has seen more of this store than there is: the store went back since it looked last. */
export function requireSeen({ epoch, revisionBefore }: Write, seen: CommandRequest['seen']): void {
  if (seen === undefined || seen.epoch !== epoch || seen.revision <= revisionBefore) return;
  refuse(
    'STORE_WENT_BACK',
    `the store is at revision ${revisionBefore}, ${seen.revision} was published; ` +
      'nothing is written until an operator has run `burgee store accept`.',
  );
}
