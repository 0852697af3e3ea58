import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { openRunDir, type RunDir } from '../../../src/run/run-dir.ts';
import { takeTerm } from '../../../src/run/term.ts';

function open(t: Test): RunDir {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return openRunDir(folder);
}

const AT = { wallClock: () => 1_800_000_000_000, fence: () => {} };

test('each primary takes the next number', async (t) => {
  const runDir = open(t);
  t.equal(takeTerm(runDir, AT).number, 1);
  t.equal(takeTerm(runDir, AT).number, 2);
});

test('a term that a worker has heard of is passed, once it is sure that DATA_DIR is ours', async (t) => {
  const runDir = open(t);
  let fenced = 0;
  const term = takeTerm(runDir, { ...AT, fence: () => void fenced++ });
  term.heard(1);
  term.heard(Number.NaN);
  t.equal(term.number, 1);
  t.equal(fenced, 0);
  term.heard(41);
  t.equal(term.number, 42);
  t.equal(fenced, 1);
  t.equal(takeTerm(runDir, AT).number, 43);
});

test('where the file is damaged, or gone while workers are on file, it goes on above all that was counted', async (t) => {
  const runDir = open(t);
  for (const text of ['x', '-1', '0', '99999999999999999']) {
    writeFileSync(join(runDir.path, 'term'), text);
    t.equal(takeTerm(runDir, AT).number, AT.wallClock(), text);
  }
  rmSync(join(runDir.path, 'term'));
  runDir.writePid('worker-1');
  t.equal(takeTerm(runDir, AT).number, AT.wallClock());
});
