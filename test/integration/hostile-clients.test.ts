// A short form of chaos/flood.ts: each attack at a small count against a whole service that may hold few connections of
// an address, and others who go on being served. What is slow is cut, what is too much refused, and nobody is killed.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'tap';
import { ATTACKS, startAttack } from '../support/attacks.ts';
import { startLoad } from '../support/load.ts';
import { ADMIN_KEY, flagWith, type Service, startService } from '../support/service.ts';

const PATH = '/api/v1/flags/flag-0/evaluate?user_id=user-1';

test('a service under attack goes on answering others', async (t) => {
  const service = await startService({ env: { CONNECTIONS_PER_ADDRESS: '40' } });
  t.teardown(() => service.stop());
  for (let i = 0; i < 100; i++) await flagWith(service, { flag_id: `flag-${i}`, enabled: true });
  const workers = service.workerPids();
  const load = startLoad({ port: service.port, connections: 4, path: PATH, key: ADMIN_KEY, thinkMs: 5 });

  await t.test('whoever opens more than an address may have is refused', async (t) => {
    const sockets = Array.from({ length: 120 }, () => open(service, '127.0.0.9'));
    while ((await counter(service, 'burgee_connections_refused_address_total')) === 0) await load.answered(20);
    for (const socket of sockets) socket.destroy();
    t.equal((await service.api(PATH)).status, 200);
  });

  for (const [index, kind] of ATTACKS.entries()) {
    await t.test(`beside ${kind}`, async (t) => {
      const localAddress = `127.0.0.${20 + index}`;
      const attack = startAttack(kind, { port: service.port, key: ADMIN_KEY, count: 16, localAddress });
      await load.answered(200);
      attack.stop();
      t.ok(attack.record.opened > 0);
    });
  }

  await t.test('a header that never ends is the end of its connection', async (t) => {
    const socket = open(service, '127.0.0.50');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-More: ');
    const trickle = setInterval(() => socket.write('a'), 500);
    await once(socket, 'close');
    clearInterval(trickle);
    t.pass('closed');
  });

  await t.test('none of the others noticed, and no worker died', async (t) => {
    const record = await load.stop();
    t.equal(record.failed, 0, record.reasons.join('\n'));
    t.strictSame(service.workerPids(), workers);
    t.notMatch(service.output(), /nobody caught|replac|hung/i);
  });
});

function open(service: Service, localAddress: string): Socket {
  const socket = connect({ port: service.port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  return socket.resume();
}

async function counter(service: Service, name: string): Promise<number> {
  const reply = await fetch(`${service.url}/metrics`, { headers: { 'X-API-Key': ADMIN_KEY } });
  const line = (await reply.text()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}
