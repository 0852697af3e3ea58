import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { mainScript } from '../../../src/launcher/main-script.ts';

test('the main script is known by the path that leads to it, with its links as they were given', (t) => {
  const base = realpathSync(t.testdir({ 'container.js': '' }));
  const own = join(base, 'releases', 'one', 'main.js');
  mkdirSync(join(base, 'releases', 'one'), { recursive: true });
  writeFileSync(own, '');
  symlinkSync('releases/one', join(base, 'current'));
  const link = join(base, 'current', 'main.js');
  const container = join(base, 'container.js');

  t.equal(mainScript(own, [own, undefined]), own);
  t.equal(mainScript(own, [link, undefined]), link);
  t.equal(mainScript(own, [container, link]), link, 'loaded by another program');
  t.equal(mainScript(own, [own, link]), own, 'the variable of a program around it that has nothing to do with it');
  t.equal(mainScript(own, [container, join(base, 'gone.js')]), own);
  t.equal(mainScript(own, [undefined, undefined]), own);
  t.end();
});
