import { test } from 'tap';
import { KEY, send, start } from '../integration/fixtures/refusing.ts';

test('the environment in the body of a DELETE is the one whose flag is archived', async (t) => {
  const serving = await start(t);
  const environments: unknown[] = [];
  serving.command = ({ command }) => {
    if (command.type === 'flag.archive') environments.push(command.environment);
    return { ok: true, status: 200, headers: {}, body: '{}', revision: 6 };
  };
  const archive = (query: string, body?: string) =>
    send(serving, `/api/v1/flags/a${query}`, { method: 'DELETE', key: KEY, ...(body === undefined ? {} : { body }) });
  t.equal((await archive('', '{"environment":"dev"}')).status, 200);
  t.equal((await archive('?environment=staging')).status, 200);
  t.equal((await archive('')).status, 200);
  t.same(environments, ['dev', 'staging', 'prod']);
  t.equal((await archive('?environment=staging', '{"environment":"dev"}')).code, 'INVALID_REQUEST', 'they disagree');
  t.equal((await archive('', '{"enviroment":"dev"}')).code, 'INVALID_REQUEST', 'misspelt');
});
