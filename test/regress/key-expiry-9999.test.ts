// 9999-12-31T23:59:59-23:59 is an RFC 3339 time, and lies in the year 10000 in UTC.
import { test } from 'tap';
import { readKeyBody } from '../../src/storage/key-body.ts';

const grantor = { scopes: ['admin'], environments: undefined, tags: undefined };

test('an expiry that leaves the year 9999 by its offset is refused, the last one is not', (t) => {
  const now = new Date('2026-01-01T00:00:00Z');
  const read = (expires_at: string): unknown => readKeyBody({ name: 'k', expires_at }, grantor, now, false);
  t.throws(() => read('9999-12-31T23:59:59-23:59'), /expires_at: must lie before the year 10000/);
  t.match(read('9999-12-31T23:59:59.999Z'), { settings: { expiresAt: '9999-12-31T23:59:59.999Z' } });
  t.end();
});
