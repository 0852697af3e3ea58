// A scope that this build does not know gives nothing, by the hot path too: it once evaluated for any key it found.
import { test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, startServing } from '../support/serving.ts';

const KEY = 'key-of-a-later-version-000000000';

test('a key with none but unknown scopes evaluates nothing', async (t) => {
  const key = { ...makeKey({ raw: KEY, scope: 'evaluate' }), rank: 0, scopes: ['observe'] };
  const serving = await startServing(makeSnapshot(3, [makeFlag({ flag_id: 'a' })], [key]));
  t.teardown(() => serving.http.close());
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
  const requests: [path: string, body: string | undefined][] = [
    ['/api/v1/flags/a/evaluate?user_id=u', undefined],
    ['/api/v1/flags/a/evaluate', '{"user_id":"u"}'],
    ['/api/v1/evaluate', '{"contexts":[]}'],
    ['/ofrep/v1/evaluate/flags', '{}'],
  ];
  for (const [path, body] of requests) {
    const init = body === undefined ? { headers } : { headers, method: 'POST', body };
    t.equal((await fetch(serving.url + path, init)).status, 403, path);
  }
});
