// What the store promises, once more on real servers: each suite that states it runs in a process of its own on a database
// of its own, first on the PostgreSQL of this machine, then on the newest. On the embedded one they run as they are.
import { fileURLToPath } from 'node:url';
import t, { test } from 'tap';
import { required, skipWithout } from '../support/optional.ts';
import { findPostgres, preparePostgres, startPostgres } from '../support/postgres.ts';

const SUITES = [
  'storage-sql',
  'storage-store',
  'storage-keys',
  'storage-segments',
  'storage-segment-members',
  'storage-dependencies',
  'storage-warnings',
] as const;

/** As .taprc starts test files. */
const START = new URL('../../scripts/start-test.mjs', import.meta.url).href;

t.setTimeout(300_000);

const found = findPostgres();
const newest = preparePostgres();
// Where PATH has none the first is the newest.
const isOne = !('missing' in found) && !('missing' in newest) && found.bin === newest.bin;

for (const [name, programs] of [
  ['of this machine', found],
  ...(isOne ? [] : [['that is newest', newest] as const]),
] as const) {
  test(`the suites pass on the PostgreSQL ${name}`, { skip: skipWithout(programs), jobs: 2 }, async (all) => {
    const server = await startPostgres(required(programs));
    all.teardown(() => server.close());
    all.comment(required(programs).version);
    const running = SUITES.map((suite) =>
      all.spawn(
        process.execPath,
        ['--enable-source-maps', `--import=${START}`, fileURLToPath(new URL(`./${suite}.test.ts`, import.meta.url))],
        { env: { ...process.env, BURGEE_TEST_DATABASE: server.url } },
        suite,
      ),
    );
    await Promise.all(running);
  });
}
