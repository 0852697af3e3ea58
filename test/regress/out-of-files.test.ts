// A process that had no file left ended: its beat reads how much memory it has, and that takes a file. A primary in that
// state took every worker that is not its child for dead, since it could not read who lives.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'tap';

const at = (path: string): string => new URL(path, import.meta.url).href;
const TYPESCRIPT = fileURLToPath(new URL('../../scripts/run-typescript.mjs', import.meta.url));
const PROGRAM = `
  import { openSync } from 'node:fs';
  import { createTallies } from '${at('../../src/worker/tallies.ts')}';
  import { identify, isAlive, ownIdentity } from '${at('../../src/run/process-identity.ts')}';
  const tallies = createTallies(['a']);
  const parent = identify(process.ppid);
  const own = ownIdentity();
  tallies.report();
  let code;
  while (code === undefined) try { openSync('/dev/null'); } catch (error) { code = error.code; }
  const gauges = tallies.report().gauges;
  const told = {
    code,
    resident: gauges.burgee_worker_resident_memory_bytes > 0,
    parentLives: isAlive(parent),
    deadLives: isAlive({ ...parent, pid: 2 ** 22 + 1 }),
    otherBootLives: isAlive({ ...parent, bootId: 'another' }),
    isItself: ownIdentity() === own,
  };
  console.log(JSON.stringify(told));
`;

test('without a file left a process goes on, and buries nobody', { skip: process.platform !== 'linux' }, async (t) => {
  const { stdout } = await promisify(execFile)(
    'sh',
    [
      '-c',
      'ulimit -n 128; exec "$@"',
      'sh',
      process.execPath,
      '--import',
      TYPESCRIPT,
      '--input-type=module',
      '-e',
      PROGRAM,
    ],
    { env: { PATH: process.env['PATH'] } },
  );
  t.same(JSON.parse(stdout), {
    code: 'EMFILE',
    resident: true,
    parentLives: true,
    deadLives: false,
    otherBootLives: false,
    isItself: true,
  });
});
