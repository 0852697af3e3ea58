// `changes` and `idempotency` are kept for a while, not for ever. Each turn takes a bounded bite, so that no write waits
// long for it.
import { pruneReplays } from './idempotency.ts';
import type { Sql } from './sql.ts';

/** A follower that was away for longer, or missed more, loads everything instead. */
const CHANGES_KEPT_MS = 7 * 86_400_000;
const CHANGES_KEPT_REVISIONS = 100_000;
const ROWS_PER_TURN = 5_000;

/** One turn. Cheap when nothing is due: two looks at the low end of an index. */
export function prune(
  sql: Sql,
  at: Date,
  kept: { readonly ms: number; readonly revisions: number } = {
    ms: CHANGES_KEPT_MS,
    revisions: CHANGES_KEPT_REVISIONS,
  },
): Promise<void> {
  return sql.transaction(async (tx) => {
    await tx.query("SELECT set_config('lock_timeout', '2s', true)");
    const [oldest] = await tx.query<{ upto: string | null }>(
      `SELECT max(revision) AS upto FROM (SELECT revision, at FROM changes ORDER BY revision LIMIT $1::integer) AS low
        WHERE at < $2::timestamptz OR revision <= (SELECT revision FROM store) - $3::bigint`,
      [ROWS_PER_TURN, new Date(at.getTime() - kept.ms).toISOString(), kept.revisions],
    );
    if (oldest?.upto != null) {
      await tx.query('UPDATE store SET changes_pruned_to = greatest(changes_pruned_to, $1::bigint)', [oldest.upto]);
      await tx.query('DELETE FROM changes WHERE revision <= $1::bigint', [oldest.upto]);
    }
    await pruneReplays(tx, at, ROWS_PER_TURN);
  });
}
