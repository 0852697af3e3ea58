import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'tap';
import { listen } from '../../../src/run/lock-socket.ts';
import { ownIdentity } from '../../../src/run/process-identity.ts';
import { openRunDir } from '../../../src/run/run-dir.ts';

interface Teardown {
  teardown(end: () => void): unknown;
}

function folder(t: Teardown): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'burgee-test-')));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const STRANGER = { pid: 999_999, startTime: '77', bootId: ownIdentity().bootId };

test('makes DATA_DIR and its run folder for this user only', async (t) => {
  const runDir = openRunDir(join(folder(t), 'a', 'data'));
  for (const path of [runDir.dataDir, runDir.path]) t.equal(statSync(path).mode & 0o777, 0o700, path);
});

test('closes a DATA_DIR that was open to others', async (t) => {
  const path = folder(t);
  chmodSync(path, 0o755);
  openRunDir(path);
  t.equal(statSync(path).mode & 0o777, 0o700);
});

test('refuses a DATA_DIR that is a file, with exit code 2', async (t) => {
  const path = join(folder(t), 'file');
  writeFileSync(path, '');
  t.throws(() => openRunDir(path), { name: 'DataDirUnusable', exitCode: 2, message: new RegExp(path) });
});

test('a pid file names its process, and leaves nothing beside it', async (t) => {
  const runDir = openRunDir(folder(t));
  runDir.writePid('launcher');
  t.same(runDir.readPid('launcher'), ownIdentity());
  t.same(readdirSync(runDir.path), ['blobs', 'launcher.pid', 'uploads']);
});

test('removes only its own pid file', async (t) => {
  const runDir = openRunDir(folder(t));
  runDir.writePid('worker-1', STRANGER);
  runDir.removePid('worker-1');
  t.same(runDir.readPid('worker-1'), STRANGER);
  runDir.removePid('worker-1', STRANGER);
  t.equal(runDir.readPid('worker-1'), undefined);
  runDir.removePid('worker-1', STRANGER);
});

test('lists the workers on file by slot and passes over what is none', async (t) => {
  const runDir = openRunDir(folder(t));
  runDir.writePid('worker-10');
  runDir.writePid('worker-2', STRANGER);
  writeFileSync(join(runDir.path, 'worker-3.pid'), '');
  writeFileSync(join(runDir.path, 'worker-4.pid'), 'nonsense');
  writeFileSync(join(runDir.path, 'worker-x.pid'), '1 2 3');
  t.same(runDir.workers(), [
    { slot: 2, identity: STRANGER },
    { slot: 10, identity: ownIdentity() },
  ]);
});

test('a socket lives in the run folder', async (t) => {
  const runDir = openRunDir(folder(t));
  t.equal(runDir.socketPath(), join(runDir.path, 'primary.sock'));
});

test('a socket whose path would be too long lives in a private folder that all processes agree on', async (t) => {
  const path = join(folder(t), 'x'.repeat(120));
  const runDir = openRunDir(path);
  const socket = runDir.socketPath();
  t.teardown(() => rmSync(dirname(socket), { recursive: true, force: true }));
  t.ok(Buffer.byteLength(socket) <= 100, socket);
  t.equal(openRunDir(path).socketPath(), socket);
  t.equal(readFileSync(join(runDir.path, 'socket-path'), 'utf8').trim(), dirname(socket));
  t.equal(statSync(dirname(socket)).mode & 0o777, 0o700);

  const server = createServer();
  await listen(server, socket);
  t.ok(existsSync(socket));
  server.close();

  rmSync(dirname(socket), { recursive: true });
  t.equal(runDir.socketPath(), socket, 'the same again after a cleaner took it away');
  t.ok(existsSync(dirname(socket)));
});

test('refuses a folder for sockets that others can reach', async (t) => {
  const root = folder(t);
  const runDir = openRunDir(join(root, 'x'.repeat(120)));
  const open = join(root, 'open');
  mkdirSync(open, { mode: 0o755 });
  writeFileSync(join(runDir.path, 'socket-path'), `${open}\n`);
  t.throws(() => runDir.socketPath(), { name: 'DataDirUnusable', message: /not a private folder/ });
  writeFileSync(join(runDir.path, 'socket-path'), '');
  t.throws(() => runDir.socketPath(), { name: 'DataDirUnusable', message: /does not name a folder/ });
});
