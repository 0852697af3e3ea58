import { test } from 'tap';
import { makeKey, makeSnapshot, startServing } from '../support/serving.ts';

test('a list of keys that got no answer is 503 STORAGE_UNAVAILABLE: it has no outcome to be unknown', async (t) => {
  const serving = await startServing(makeSnapshot(5, [], [makeKey({ raw: 'admin', scope: 'admin' })]));
  t.teardown(() => serving.http.close());
  serving.command = () => ({ ok: false, code: 'OUTCOME_UNKNOWN', detail: 'no answer' });
  const codeOf = async (init: RequestInit): Promise<unknown> => {
    const headers = { 'x-api-key': 'admin', 'content-type': 'application/json' };
    const reply = await fetch(`${serving.url}/api/v1/keys`, { ...init, headers });
    return ((await reply.json()) as { readonly code: unknown }).code;
  };
  t.equal(await codeOf({}), 'STORAGE_UNAVAILABLE');
  t.equal(await codeOf({ method: 'POST', body: '{"name":"k"}' }), 'OUTCOME_UNKNOWN', 'a write may have happened');
});
