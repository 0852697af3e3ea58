// Who may open a connection, by address and in all.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'tap';
import { limits } from '../../../src/limits.ts';
import { addressGroup } from '../../../src/worker/address-group.ts';
import {
  type ConnectionGateDeps,
  createConnectionGate,
  type DrivenConnectionGate,
} from '../../../src/worker/connection-gate.ts';
import { countByAddress, openFilesMax } from '../../../src/worker/open-files.ts';

function gateOf(deps: Partial<ConnectionGateDeps>): { gate: DrivenConnectionGate; counters: Map<string, number> } {
  const counters = new Map<string, number>();
  const gate = createConnectionGate({
    perAddress: 10,
    workers: 1,
    filesMax: undefined,
    isExempt: () => false,
    countByAddress: async () => new Map(),
    tallies: { count: (name, by) => void counters.set(name, (counters.get(name) ?? 0) + by), gauge: () => {} },
    ...deps,
  });
  return { gate, counters };
}

function admitted(gate: DrivenConnectionGate, address: string, times: number): number {
  return Array.from({ length: times }, () => gate.admits(address, 1)).filter(Boolean).length;
}

test('lets one address open as many as it may have, and the next one as many again', (t) => {
  const { gate, counters } = gateOf({});
  t.equal(admitted(gate, '203.0.113.7', 25), 10);
  t.equal(admitted(gate, '203.0.113.8', 5), 5);
  t.equal(counters.get('burgee_connections_refused_address_total'), 15);
  t.equal(admitted(gateOf({ workers: 2 }).gate, '203.0.113.7', 25), 5, 'another worker gets the other half');
  t.equal(admitted(gateOf({ perAddress: 0 }).gate, '203.0.113.7', 25), 25, '0 is no limit');
  t.end();
});

test('exempts the machine itself and trusted proxies, but not all that is local', (t) => {
  const { gate } = gateOf({ isExempt: (address) => address === '10.0.0.1' });
  for (const address of ['127.0.0.1', '::1', '10.0.0.1']) t.equal(admitted(gate, address, 25), 25, address);
  t.equal(admitted(gate, '127.0.0.2', 25), 10);
  t.end();
});

test('takes a /64 of IPv6 for one address', (t) => {
  const { gate } = gateOf({});
  t.equal(admitted(gate, '2001:db8::1', 6) + admitted(gate, '2001:db8::2:3:4:5', 6), 10);
  t.equal(admitted(gate, '2001:db8:0:1::1', 6), 6);
  t.equal(addressGroup('2001:db8::1'), addressGroup('2001:0DB8:0000:0000:ffff::'));
  t.equal(addressGroup('203.0.113.7'), '203.0.113.7');
  t.end();
});

test('counts what was open before, once it looks and there is enough to look at', async (t) => {
  let looks = 0;
  const { gate } = gateOf({
    countByAddress: async () => {
      looks += 1;
      return new Map([['203.0.113.7', 8]]);
    },
  });
  gate.admits('203.0.113.9', 1);
  await gate.look();
  t.equal(looks, 0, 'with one connection nobody can have ten');
  gate.admits('203.0.113.9', 100);
  await gate.look();
  t.equal(admitted(gate, '203.0.113.7', 25), 2);
  gate.admits('203.0.113.9', 100);
  await gate.look();
  t.equal(admitted(gate, '203.0.113.7', 25), 2, 'what opened before a look is in what it finds, and not counted twice');
  gate.start();
  gate.close();
  gate.close();
});

test('keeps below the files that a process may have', (t) => {
  const { gate, counters } = gateOf({ filesMax: 1024 });
  t.ok(gate.admits('127.0.0.1', 768));
  t.notOk(gate.admits('127.0.0.1', 769));
  t.equal(counters.get('burgee_connections_refused_full_total'), 1);
  t.equal(gate.crowdedCount, 576);
  t.ok(gateOf({ filesMax: 16 }).gate.admits('127.0.0.1', 8), 'also with hardly any');
  t.notOk(gateOf({}).gate.admits('127.0.0.1', limits.connectionsMax + 1));
  t.end();
});

test('reads what the system tells, and makes do where it does not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'burgee-net-'));
  const head = '  sl  local_address rem_address   st tx_queue\n';
  const line = (local: string, remote: string, state: string): string =>
    `   0: ${local} ${remote} ${state} 00000000:0\n`;
  writeFileSync(
    join(folder, 'tcp'),
    head +
      line('0100007F:1F40', '0200007F:D431', '01') +
      line('0100007F:1F40', '0200007F:D432', '08') +
      line('0100007F:1F40', '0200007F:D433', '06') +
      line('0100007F:1F41', '0200007F:D434', '01') +
      line('00000000:1F40', '00000000:0000', '0A'),
  );
  const mapped = '0000000000000000FFFF00000700CB0A'.slice(0, 24);
  writeFileSync(
    join(folder, 'tcp6'),
    head +
      line(`${mapped}0100007F:1F40`, `${mapped}0200007F:D435`, '01') +
      line(`${mapped}0100007F:1F40`, 'B80D0120000000000000000001000000:D436', '01') +
      line('not an address:1F40', 'zz:1', '01'),
  );
  t.strictSame(
    await countByAddress(8000, folder),
    new Map([
      ['127.0.0.2', 3],
      [addressGroup('2001:db8::1'), 1],
    ]),
  );
  t.strictSame(await countByAddress(8000, join(folder, 'none')), new Map());
  const file = join(folder, 'limits');
  writeFileSync(
    file,
    'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n',
  );
  t.equal(openFilesMax(file), 1024);
  writeFileSync(file, 'Max open files            unlimited            unlimited            files\n');
  t.equal(openFilesMax(file), undefined);
  t.equal(openFilesMax(join(folder, 'none')), undefined);
});
