// After a request whose length is told twice, the bytes that follow may be its body or a request: nobody may serve them.
import { test } from 'tap';
import { makeFlag, makeKey, makeSnapshot, sendRaw, startServing } from '../support/serving.ts';

const KEY = 'write-key-of-32-characters-00000';

test('a request behind one of ambiguous length is not served', async (t) => {
  const serving = await startServing(
    makeSnapshot(3, [makeFlag({ flag_id: 'a' })], [makeKey({ raw: KEY, scope: 'write' })]),
  );
  t.teardown(() => serving.http.close());
  const inner = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n';
  for (const path of ['/livez', '/api/v1/flags/a/evaluate?user_id=u']) {
    const outer = `GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Length: 0\r\n`;
    const twice = `${outer}Content-Length: ${inner.length}\r\n\r\n`;
    t.notMatch(await sendRaw(serving.port, twice + inner, () => false), /200 OK/, path);
    t.match(
      await sendRaw(serving.port, twice, () => false),
      /^HTTP\/1.1 400[^]*INVALID_REQUEST/,
      'alone it is told so',
    );
  }
});
