// 256 attributes were allowed and 256 parameters too, so a GET with that many attributes had no room left for its user.
import { test } from 'tap';
import { limits } from '../../src/limits.ts';
import { QueryScan } from '../../src/worker/http/query-scan.ts';

test('a query has room for every attribute that is allowed, a user and an environment', (t) => {
  const attributes = Array.from({ length: limits.attributesMax }, (_, i) => `attr.a${i}=1`);
  const scan = new QueryScan();
  t.ok(scan.read(['user_id=u', 'environment=prod', ...attributes].join('&')));
  t.equal(Object.keys(scan.attributes ?? {}).length, limits.attributesMax);
  t.end();
});
