// A 304 lacked the Cache-Control of the answer in its place, which a cache in between may take for leave to keep the
// document (RFC 9110, section 15.4.5: what a 200 says of caching, its 304 says too).
import { test } from 'tap';
import { KEY, send, start } from '../integration/fixtures/refusing.ts';

test('a 304 says of caching what its 200 does', async (t) => {
  const serving = await start(t);
  const asked = [
    { path: '/api/v1/flags/a', sent: { key: KEY } },
    { path: '/ofrep/v1/evaluate/flags', sent: { key: KEY, method: 'POST', body: '{}' } },
  ];
  for (const { path, sent } of asked) {
    const whole = await send(serving, path, sent);
    const tag = whole.headers.get('etag') ?? '';
    const unchanged = await send(serving, path, { ...sent, headers: { 'if-none-match': tag } });
    t.match([whole.status, unchanged.status], [200, 304], path);
    for (const name of ['etag', 'cache-control']) t.equal(unchanged.headers.get(name), whole.headers.get(name), name);
  }
});
