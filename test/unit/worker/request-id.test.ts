import { test } from 'tap';
import { nextRequestId } from '../../../src/worker/http/request-id.ts';

test('each id is a UUID, and none comes twice', (t) => {
  const ids = new Set<string>();
  const count = 200_000;
  for (let i = 0; i < count; i += 1) ids.add(nextRequestId());
  t.equal(ids.size, count);
  t.ok([...ids].every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
  t.end();
});
