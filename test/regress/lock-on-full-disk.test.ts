// A primary that died on a full disk: the next one could make the file that claims its lock and not fill it, and left it
// empty. Once there was room again a start took that for a claim that is being written, and waited 30 s.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { writeNew } from '../../src/run/run-dir.ts';

test('a file that cannot be filled is not left behind', (t) => {
  const path = join(t.testdir({}), 'primary.lock');
  // Fails where a full disk does: between making the file and filling it.
  t.throws(() => writeNew(path, undefined as unknown as string, 'wx'));
  t.notOk(existsSync(path));
  writeNew(path, 'whole\n', 'wx');
  t.throws(() => writeNew(path, 'another\n', 'wx'), { code: 'EEXIST' });
  t.ok(existsSync(path), 'one that somebody else has made stays');
  t.end();
});
