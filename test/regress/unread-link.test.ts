// limits.ipcBacklogBytesMax was written down and held by nobody: a worker that did not read made its primary grow.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { encodeToPrimary } from '../../src/ipc/frame.ts';
import { createWorkerLinks, type WorkerLink } from '../../src/primary/worker-links.ts';

test('a link whose other end does not read is cut', async (t) => {
  // A socket's path is short, and a checkout's may not be.
  const folder = mkdtempSync(join(tmpdir(), 'burgee-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const socketPath = join(folder, 'primary.sock');
  let closed: () => void = () => {};
  let joined: (link: WorkerLink) => void = () => {};
  const cut = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const link = new Promise<WorkerLink>((resolve) => {
    joined = resolve;
  });
  const links = createWorkerLinks({
    socketPath,
    backlogBytesMax: 1_048_576,
    onHello: (said) => joined(said),
    onMessage: () => {},
    onClose: () => closed(),
    warn: () => {},
  });
  await links.listen();
  t.teardown(() => links.close());
  const worker = connect(socketPath);
  t.teardown(() => worker.destroy());
  await once(worker, 'connect');
  worker.pause();
  worker.write(
    encodeToPrimary({
      type: 'hello',
      role: 'worker',
      pid: 1,
      startTime: '1',
      slot: 1,
      build: 'b',
      epoch: '',
      revision: 0,
      leases: [],
    }),
  );
  const { send } = await link;
  for (let i = 0; i < 32; i++) send({ type: 'delta', bytes: new Uint8Array(262_144) });
  await cut;
  t.pass('and dials again, to be sent one snapshot');
});
