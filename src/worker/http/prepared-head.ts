// Hot path.
// The header lines of a 200 with JSON, all but the request's id made once a snapshot.
import type { ServingSnapshot, SnapshotHolder } from '../serving.ts';
import { makeOpenHead, type OpenHead } from '../transport/transport.ts';

/** The lines that deliver.ts writes for such a reply, with a place for the value of X-Request-Id. */
export type PreparedHead = (snapshot: ServingSnapshot) => OpenHead;

/** `varies`: whether replies vary by origin. */
export function createPreparedHead(holder: Pick<SnapshotHolder, 'staleSeconds'>, varies: boolean): PreparedHead {
  let head = headOf(0, 0, varies);
  let revision = 0;
  let staleSeconds = 0;

  return function preparedHead(snapshot: ServingSnapshot): OpenHead {
    const staleNow = holder.staleSeconds();
    if (snapshot.revision !== revision || staleNow !== staleSeconds) {
      revision = snapshot.revision;
      staleSeconds = staleNow;
      head = headOf(revision, staleSeconds, varies);
    }
    return head;
  };
}

function headOf(revision: number, staleSeconds: number, varies: boolean): OpenHead {
  const first: [name: string, value: string][] = [
    ['Content-Type', 'application/json'],
    ['X-Flags-Revision', String(revision)],
  ];
  if (staleSeconds > 0) first.push(['X-Flags-Stale', String(staleSeconds)]);
  return makeOpenHead(first, 'X-Request-Id', [['Cache-Control', 'no-store']], varies ? [['Vary', 'Origin']] : []);
}
