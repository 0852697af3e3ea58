// A worker whose primary died before the worker reached it was waited for no ORPHAN_TIMEOUT_MS: it dialled for ever.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));

test('a worker that never finds a primary ends after ORPHAN_TIMEOUT_MS', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'burgee-'));
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
  const loader = join(root, 'scripts/run-typescript.mjs');
  const worker = spawn(process.execPath, ['--import', loader, join(root, 'src/main.ts')], {
    cwd: root,
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      BURGEE_ROLE: 'worker',
      BURGEE_SLOT: '1',
      DATA_DIR: dataDir,
      HOST: '127.0.0.1',
      ORPHAN_TIMEOUT_MS: '50',
    },
  });
  t.teardown(() => worker.kill('SIGKILL'));
  const [code] = await once(worker, 'exit');
  t.equal(code, 0);
});
