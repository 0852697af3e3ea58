import { test } from 'tap';
import { KEY, send, start } from '../integration/fixtures/refusing.ts';

test('a new flag that is malformed is told so before the environment in its body, and with the primary away', async (t) => {
  const serving = await start(t);
  const create = (fields: object, key: string): Promise<string> =>
    send(serving, '/api/v1/flags', { method: 'POST', body: JSON.stringify({ flag_id: 'b', ...fields }), key }).then(
      ({ code }) => code,
    );
  t.equal(await create({ environment: 'prod', rollout_percentage: 1.001 }, 'write-dev'), 'INVALID_REQUEST');
  t.equal(await create({ environment: 'prod', rollout_percentage: 1 }, 'write-dev'), 'ENVIRONMENT_FORBIDDEN');
  t.equal(await create({ rollout_percentage: 1.001 }, KEY), 'INVALID_REQUEST');
  t.equal(await create({ rollout_percentage: 1 }, KEY), 'STORAGE_UNAVAILABLE', 'which is what the primary would say');
});
