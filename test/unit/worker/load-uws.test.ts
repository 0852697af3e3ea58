import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { checkSum } from '../../../src/run/server-library.ts';
import { loadUws } from '../../../src/worker/transport/load-uws.ts';

const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

test('a binary is loaded only when its checksum is the one on file', async (t) => {
  const dir = t.testdir({ 'uws_x.node': 'abc' });
  const sums = join(dir, 'sums');
  writeFileSync(sums, `${ABC}  uws_x.node\n`);
  checkSum(join(dir, 'uws_x.node'), sums);
  writeFileSync(join(dir, 'uws_x.node'), 'abd');
  t.throws(() => checkSum(join(dir, 'uws_x.node'), sums), /has sha256 .* says ba7816bf/);
});

test('a binary that is not on file is not loaded, nor one that is not there', async (t) => {
  const dir = t.testdir({ 'uws_x.node': 'abc', sums: `${ABC}  uws_y.node\n` });
  t.throws(() => checkSum(join(dir, 'uws_x.node'), join(dir, 'sums')), /not listed/);
  t.throws(() => checkSum(join(dir, 'uws_y.node'), join(dir, 'sums')), /no binary/);
});

test('the installed one is the known one', async (t) => {
  t.type((await loadUws()).App, 'function');
});
