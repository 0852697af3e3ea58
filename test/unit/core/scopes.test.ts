import { test } from 'tap';
import { RANK, rankOf, SCOPES } from '../../../src/core/scopes.ts';

test('scopes rank from evaluate to admin', async (t) => {
  t.same([[], ['evaluate'], ['read', 'evaluate'], ['write'], ['evaluate', 'admin']].map(rankOf), [0, 1, 2, 3, 4]);
  t.same(
    SCOPES.map((scope) => RANK[scope]),
    SCOPES.map((scope) => rankOf([scope])),
    'and the table says the same',
  );
});

test('a scope that is not known gives nothing', async (t) => {
  t.same([['owner'], ['owner', 'read'], ['__proto__', 'toString']].map(rankOf), [0, 2, 0]);
});
