import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { type CheckOutcome, checkBuild } from '../../../src/launcher/check-build.ts';
import { systemClock } from '../../../src/run/clock.ts';

interface Folder {
  testdir(): string;
}

function check(
  t: Folder,
  script: string,
  options: { timeoutMs?: number; abort?: AbortSignal } = {},
): Promise<CheckOutcome> {
  const main = join(t.testdir(), 'main.mjs');
  writeFileSync(main, script);
  return checkBuild({
    main,
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: undefined, BURGEE_GENERATION: 'g-1' },
    clock: systemClock,
    timeoutMs: options.timeoutMs ?? 60_000,
    abort: options.abort ?? new AbortController().signal,
  });
}

test('a check that ends with 0 is good, and what it said is kept', async (t) => {
  const outcome = await check(t, 'console.log(process.argv.slice(2), process.env.BURGEE_GENERATION)');
  t.same(outcome, { ok: true, said: "[ 'check' ] g-1" });
});

test('anything else is not: another code, a build that cannot be parsed, one that is not there', async (t) => {
  t.same(await check(t, 'console.error("PORT is wrong"); process.exit(2)'), {
    ok: false,
    said: 'it ended with 2: PORT is wrong',
  });
  t.match(await check(t, 'export const a = ;'), { ok: false, said: /main\.mjs:1[^]*SyntaxError/ });
  t.match(await check(t, 'process.kill(process.pid, "SIGKILL")'), { ok: false, said: 'it ended with SIGKILL' });
});

test('of an endless talker the last words are kept', async (t) => {
  const { said } = await check(t, 'process.stdout.write("x".repeat(1e6) + "the end")');
  t.ok(said.length <= 4096 && said.endsWith('the end'));
});

test('a check that hangs, or is not wanted any more, is killed', async (t) => {
  t.same(await check(t, 'setInterval(() => {}, 1000)', { timeoutMs: 300 }), {
    ok: false,
    said: 'it took more than 300 ms',
  });
  t.same(await check(t, 'setInterval(() => {}, 1000)', { abort: AbortSignal.abort() }), {
    ok: false,
    said: 'it was not waited for',
  });
});
