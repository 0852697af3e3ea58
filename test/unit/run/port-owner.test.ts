import { createServer } from 'node:net';
import { test } from 'tap';
import { dataDirHash, findStranger, holdPrimaryPort, holdWorkerPort } from '../../../src/run/port-owner.ts';
import { answer, endChild, fixture, startScript } from './fixtures/support.ts';

const HOLDER = fixture('port-holder.ts', import.meta.url);
const skip = process.platform !== 'linux';
const NOW = { graceMs: 0 };

/** A port number that nobody listens on; the names are held for it without ever opening it. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => void server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test("a second primary on a port is refused with the first one's pid, whatever its DATA_DIR", { skip }, async (t) => {
  const port = await freePort();
  const child = startScript(t, HOLDER, [String(port), '/srv/a', 'primary']);
  await answer(child);
  for (const dataDir of ['/srv/a', '/srv/b']) {
    await t.rejects(holdPrimaryPort(port, dataDir, NOW), {
      name: 'Owned',
      what: 'port',
      exitCode: 3,
      pid: child.pid,
      message: `port ${port} is owned by the service whose primary has pid ${child.pid}; stop it, or set PORT to another port.`,
    });
  }
  child.kill('SIGSTOP');
  await t.rejects(
    holdPrimaryPort(port, '/srv/b', NOW),
    { name: 'Owned', pid: undefined },
    'a stopped owner cannot say its pid',
  );
  await endChild(child);
  const hold = await holdPrimaryPort(port, '/srv/b', NOW);
  await hold.close();
  await hold.close();
});

test('waits for a primary that is just ending', { skip }, async (t) => {
  const port = await freePort();
  const first = await holdPrimaryPort(port, '/srv/a', NOW);
  const second = holdPrimaryPort(port, '/srv/a');
  await first.close();
  await t.resolves(second);
  await (await second).close();
});

test('a worker of another DATA_DIR on the port is a reason to refuse, and is named', { skip }, async (t) => {
  const port = await freePort();
  const child = startScript(t, HOLDER, [String(port), '/srv/a']);
  await answer(child);
  await t.rejects(holdPrimaryPort(port, '/srv/b', NOW), {
    name: 'Owned',
    what: 'port',
    pid: child.pid,
    message: new RegExp(`worker with pid ${child.pid}`),
  });
  const own = await holdPrimaryPort(port, '/srv/a', NOW);
  await own.close();
  await endChild(child);
  const after = await holdPrimaryPort(port, '/srv/b', NOW);
  await after.close();
});

test("another port is another service's", { skip }, async (t) => {
  const [port, other] = [await freePort(), await freePort()];
  const holds = [
    await holdPrimaryPort(port, '/srv/a', NOW),
    await holdWorkerPort(port, '/srv/a'),
    await holdPrimaryPort(other, '/srv/b', NOW),
    await holdWorkerPort(other, '/srv/b'),
    await holdWorkerPort(other, '/srv/b'),
  ];
  for (const hold of holds) await hold.close();
  t.pass('none was refused');
});

test('reads the names of workers in /proc/net/unix', async (t) => {
  const line = (name: string): string => `000000000697b08f: 00000002 00000000 00010000 0001 01 19955 ${name}\n`;
  const [own, other] = [dataDirHash('/srv/a'), dataDirHash('/srv/b')];
  const head = 'Num       RefCount Protocol Flags    Type St Inode Path\n';
  t.equal(
    findStranger(head + line(`@burgee:8000:${own}:12@@@@`) + line('@burgee:8000@@') + line('/run/x.sock'), 8000, own),
    undefined,
  );
  t.equal(findStranger(head + line(`@burgee:8000:${other}:12@@@@`), 8000, own), 12);
  t.equal(findStranger(head + line(`@burgee:8000:${other}:12`), 8000, own), 12);
  t.equal(findStranger(head + line(`@burgee:80001:${other}:12@@@@`), 8000, own), undefined);
  t.equal(findStranger(head + line(`/tmp/@burgee:8000:${other}:12`), 8000, own), undefined);
});
