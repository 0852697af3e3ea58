import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { createFrameReader, decodeToPrimary, encodeToWorker } from '../../../src/ipc/frame.ts';
import type { ToPrimary, ToWorker } from '../../../src/ipc/messages.ts';
import { createPrimaryLink } from '../../../src/worker/primary-link.ts';

test('a worker follows the latest primary it has heard of, and believes nothing that an earlier one says', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-test-'));
  const path = join(folder, 'primary.sock');
  /** What the primary of each connection says, in order: 0.3.0 says no welcome. */
  const terms = [5, 3, undefined, 6];
  const hellos: (number | undefined)[] = [];
  const received: ToWorker[] = [];
  let stale = 0;
  const sockets: Socket[] = [];
  const finished = new Promise<void>((resolve) => {
    const server = createServer((socket) => {
      sockets.push(socket);
      const reader = createFrameReader(1e6, (type, bytes) => {
        const hello = decodeToPrimary(type, bytes) as Extract<ToPrimary, { type: 'hello' }>;
        const term = terms[hellos.length];
        hellos.push(hello.term);
        if (term !== undefined) socket.write(encodeToWorker({ type: 'welcome', term, build: 'b' }));
        socket.write(encodeToWorker({ type: 'confirmed', revision: hellos.length, tier: 'store' }));
        if (term === 6) resolve();
        else if (term !== 3) socket.end();
      });
      socket.on('data', (chunk) => reader.push(chunk as Buffer));
      socket.on('error', () => {});
    }).listen(path);
    t.teardown(() => {
      link.close();
      for (const socket of sockets) socket.destroy();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    });
  });
  const link = createPrimaryLink({
    socketPath: () => path,
    hello: () => ({
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
    receive: (message) => void received.push(message),
    onConnected: () => {},
    onLost: () => {},
    onStale: () => void stale++,
    warn: () => {},
  });
  link.start();
  await finished;
  while (received.length < 3) await new Promise(setImmediate);
  t.same(hellos, [undefined, 5, 5, 5]);
  t.equal(stale, 1);
  t.same(
    received.map((message) => (message as { revision?: number }).revision),
    [1, 3, 4],
    'all but what the stale one said',
  );
  t.equal(link.term, 6);
});
