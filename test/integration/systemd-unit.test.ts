// The unit file, judged by systemd itself, and held to what the launcher needs of it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'tap';
import { loadConfig } from '../../src/config.ts';
import { LAUNCHER_TIMING } from '../../src/launcher/launcher.ts';
import { EXIT_CONFIGURATION, EXIT_OWNED } from '../../src/run/owned.ts';

const folder = fileURLToPath(new URL('../../deploy/systemd', import.meta.url));
const text = readFileSync(join(folder, 'burgee.service'), 'utf8');
const missing = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'systemd-analyze is not installed';
const skip = process.env['CI'] !== 'true' && missing;
/** Of 10; 9 and more is a unit without any restriction. The rest is the network, which the service is for. */
const EXPOSURE_MAX = 1.5;

/** All values of a setting, in order. */
function settings(name: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));
}

test('systemd finds nothing wrong with it', { skip }, (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'burgee-unit-'));
  t.teardown(() => rmSync(copy, { recursive: true, force: true }));
  // The programs that it names must be there to be found right.
  writeFileSync(join(copy, 'burgee.service'), text.replaceAll('/usr/bin/node', process.execPath));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', join(copy, 'burgee.service')], {
    encoding: 'utf8',
  });
  t.equal(status, 0);
  t.equal(stdout + stderr, '');
  t.end();
});

test('it is restricted to what it needs', { skip }, (t) => {
  const args = ['security', '--offline=true', `--threshold=${EXPOSURE_MAX * 10}`, join(folder, 'burgee.service')];
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  t.comment(status === 0 ? stdout.trim().split('\n').at(-1) : stdout + stderr);
  t.equal(status, 0);
  t.notOk(settings('MemoryDenyWriteExecute').includes('yes'), 'V8 would not start');
  t.end();
});

test('it leaves processes to the launcher, and waits for it', (t) => {
  const { shutdownTimeoutMs } = loadConfig({});
  t.same(settings('KillMode'), ['process']);
  t.same(settings('OOMPolicy'), ['continue']);
  t.ok(Number(settings('TimeoutStopSec')[0]) * 1000 > shutdownTimeoutMs + LAUNCHER_TIMING.shutdownMarginMs);
  t.same(settings('RestartPreventExitStatus'), [`${EXIT_CONFIGURATION} ${EXIT_OWNED}`]);
  t.same(settings('ExecReload'), ['/bin/kill -HUP $MAINPID']);
  t.end();
});

test('PM2 waits as long', async (t) => {
  const { default: ecosystem } = await import(new URL('../../ecosystem.config.cjs', import.meta.url).href);
  const [app] = ecosystem.apps;
  t.equal(ecosystem.apps.length, 1);
  t.ok(app.kill_timeout > loadConfig({}).shutdownTimeoutMs + LAUNCHER_TIMING.shutdownMarginMs);
  t.same(app.stop_exit_codes, [EXIT_CONFIGURATION, EXIT_OWNED]);
});
