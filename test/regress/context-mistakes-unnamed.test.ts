// A user_id that is a number was refused without saying what it was, and `explain` in a body without saying where it
// belongs.
import { test } from 'tap';
import { KEY, send, start } from '../integration/fixtures/refusing.ts';

test('what a context has wrong is named, and where it belongs', async (t) => {
  const serving = await start(t);
  const cases: readonly (readonly [string, object, string, string])[] = [
    ['/api/v1/flags/a/evaluate', { user_id: 7 }, 'user_id', 'must be a string, not a number'],
    ['/api/v1/flags/a/evaluate', { user_id: null }, 'user_id', 'must be a string, not null'],
    ['/api/v1/flags/a/evaluate', { user_id: 'u', explain: true }, 'explain', 'send it in the query: ?explain='],
    [
      '/api/v1/flags/a/evaluate',
      { user_id: 'u', context: {} },
      'context',
      'is not known here; there are user_id, environment, attributes',
    ],
    [
      '/api/v1/evaluate',
      { contexts: [{ user_id: 'u' }, { user_id: 7 }] },
      'contexts[1].user_id',
      'must be a string, not a number',
    ],
    ['/api/v1/evaluate', { contexts: [], min_revision: 5 }, 'min_revision', 'send it in the query: ?min_revision='],
  ];
  for (const [path, body, field, message] of cases) {
    const reply = await send(serving, path, { method: 'POST', key: KEY, body: JSON.stringify(body) });
    t.match(reply, { status: 400, code: 'INVALID_REQUEST', problem: { errors: [{ path: field, message }] } });
  }
});
