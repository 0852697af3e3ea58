// A percentage out of range was judged only where the flag is stored: 404 came before 400.
import { test } from 'tap';
import { KEY, send, start } from '../integration/fixtures/refusing.ts';

test('a percentage that can never be right is 400 before anything is looked up', async (t) => {
  const serving = await start(t);
  for (const rollout_percentage of [222, -1, 12.345]) {
    const reply = await send(serving, '/api/v1/flags/nope', {
      method: 'PATCH',
      key: KEY,
      body: JSON.stringify({ rollout_percentage }),
    });
    t.match(reply, { status: 400, code: 'INVALID_REQUEST', problem: { errors: [{ path: 'rollout_percentage' }] } });
  }
});
