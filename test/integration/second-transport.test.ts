// The suites of the transport and of what stands on it once more, on node:http and ws. Not all of them, for the time it
// takes: those that look at bytes, connections, bodies, streams and sockets. `TRANSPORT=node npx tap test/integration` has
// the rest.
import { fileURLToPath } from 'node:url';
import t, { test } from 'tap';

const SUITES = [
  'unit/worker/transport/streams',
  'unit/worker/transport/node',
  'integration/http-drain',
  'integration/http-evaluate',
  'integration/http-hostile',
  'integration/http-management',
  'integration/http-ofrep-stream',
  'integration/http-refusals',
  'integration/http-segment-uploads',
  'integration/http-short-post',
  'integration/socket-binary',
  'integration/socket-evaluate',
  'integration/socket-life',
  'integration/socket-pushes',
] as const;

// Of this file, which is a dozen.
t.setTimeout(600_000);

test('the suites pass on the second transport', { jobs: 2 }, async (all) => {
  const running = SUITES.map((suite) =>
    all.spawn(
      process.execPath,
      [...process.execArgv, fileURLToPath(new URL(`../${suite}.test.ts`, import.meta.url))],
      { env: { ...process.env, TRANSPORT: 'node' } },
      suite,
    ),
  );
  await Promise.all(running);
});
